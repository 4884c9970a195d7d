"""Bugs of loaders: random numbers of workers, order of epochs, shares of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, mlp, points, trained
from torch import Tensor
from torch.nn import functional
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    TensorDataset,
    get_worker_info,
)


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torchproof import Trainee

_ROWS = 24


def _loaded_by(loader: Iterable[object]) -> Trainee:
    model = mlp()

    def loss(batch: Batch) -> Tensor:
        return functional.cross_entropy(model(batch["x"]), batch["y"])

    return trained(model, points(), loss, loader=loader)


@case(74, "MLP", "worker-randomness", quick=True)
def workers_hold_copies_of_one_generator(*, right: bool) -> Trainee:
    """Every worker adds the same noise, and so does every epoch."""

    class _Noisy(Dataset[dict[str, Tensor]]):
        def __init__(self) -> None:
            self.x = torch.randn(_ROWS, 6)
            self.source = np.random.default_rng(0)

        def __len__(self) -> int:
            return _ROWS

        def __getitem__(self, index: int) -> dict[str, Tensor]:
            noise = self.source.normal(size=6)  # wrong
            if right:
                noise = torch.randn(6).numpy()  # right
            return {"x": self.x[index] + noise, "y": torch.tensor(index % 3)}

    return _loaded_by(DataLoader(_Noisy(), 4, shuffle=True, num_workers=2))


@case(74, "MLP", "worker-randomness")
def every_worker_seeded_alike(*, right: bool) -> Trainee:
    """Seeding the workers for reproducibility makes them repeat one another."""

    class _Shifted(Dataset[dict[str, Tensor]]):
        def __len__(self) -> int:
            return _ROWS

        def __getitem__(self, index: int) -> dict[str, Tensor]:
            shift = np.random.uniform(-1, 1)  # noqa: NPY002 - as programs do
            return {"x": torch.full((6,), index + shift), "y": torch.tensor(index % 3)}

    def seed(_: int) -> None:
        if right:
            np.random.seed(torch.initial_seed() % 2**32)  # noqa: NPY002 # right
        else:
            np.random.seed(42)  # noqa: NPY002 # wrong

    return _loaded_by(DataLoader(_Shifted(), 4, num_workers=2, worker_init_fn=seed))


@case(77, "MLP", "worker-shards", quick=True)
def stream_given_to_every_worker(*, right: bool) -> Trainee:
    """Each worker runs through the whole stream, so every sample comes twice."""

    class _Stream(IterableDataset[dict[str, Tensor]]):
        def __init__(self) -> None:
            self.x = torch.randn(_ROWS, 6)

        def __iter__(self) -> Iterator[dict[str, Tensor]]:
            rows = range(_ROWS)  # wrong
            if right:
                info = get_worker_info()
                rows = range(info.id, _ROWS, info.num_workers) if info else rows  # right
            for row in rows:
                yield {"x": self.x[row], "y": torch.tensor(row % 3)}

    return _loaded_by(DataLoader(_Stream(), 4, num_workers=2))


@case(77, "MLP", "epoch-order", quick=True)
def epoch_never_set(*, right: bool) -> Trainee:
    """A distributed sampler shuffles by its epoch, which stays 0."""
    rows = TensorDataset(torch.randn(_ROWS, 6), torch.arange(_ROWS) % 3)
    sampler = DistributedSampler(rows, num_replicas=2, rank=0)
    batches = DataLoader(rows, 4, sampler=sampler)

    class _Epochs:
        epoch = 0

        def __iter__(self) -> Iterator[list[Tensor]]:
            if right:
                sampler.set_epoch(self.epoch)  # right
            self.epoch += 1
            yield from batches

    return _loaded_by(_Epochs())


@case(77, "MLP", "epoch-order")
def sampler_seeds_every_epoch_alike(*, right: bool) -> Trainee:
    """A sampler makes its generator anew with one seed whenever an epoch begins."""
    rows = TensorDataset(torch.randn(_ROWS, 6), torch.arange(_ROWS) % 3)

    class _Order(torch.utils.data.Sampler[int]):
        def __init__(self) -> None:
            self.source = torch.Generator().manual_seed(0)

        def __iter__(self) -> Iterator[int]:
            if not right:
                self.source = torch.Generator().manual_seed(0)  # wrong
            return iter(torch.randperm(_ROWS, generator=self.source).tolist())

        def __len__(self) -> int:
            return _ROWS

    return _loaded_by(DataLoader(rows, 4, sampler=_Order()))
