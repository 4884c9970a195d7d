"""What a loader's worker processes bring, seen by starting them the way the loader does.

Each worker is asked for samples; it answers with digests instead of data: of the sample, and of the
state of every random generator that it can reach from its copy of the data set.
"""

from __future__ import annotations

import warnings
from itertools import islice
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from torchproof.proofs.process.fingerprints import digest
from torchproof.proofs.process.generators import (
    advance,
    generators,
    global_generators,
    hashed,
    put_back,
    state,
)
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.rule import Skip
from torchproof.proofs.tensors.trees import named_tensors


if TYPE_CHECKING:
    from torchproof.proofs.trainee import Trainee

_WORKERS = 2
_MOST_SECONDS = 10
_NUDGES = 8


class Answer(NamedTuple):
    """What a worker says of one sample: its digest, and the generators' states behind it.

    ``drawn`` names the generators that have moved since the answer before and without whose numbers
    the sample would be another.
    """

    worker: int
    sample: bytes
    states: dict[str, bytes]
    drawn: list[str]


class Witness:
    """Collates as the user does, in the worker, and returns an answer instead of the sample.

    Args:
        collate: What the loader makes a batch with.
        index: What each sample was fetched by; None for those of a stream.
    """

    def __init__(self, collate: Callable[[Any], Any], index: Any = None) -> None:
        self._collate = collate
        self._index = index
        self._before: dict[str, bytes] = {}

    def __call__(self, sample: Any) -> Answer:
        """Answer for a sample."""
        info: Any = get_worker_info()
        answer = self._digest(sample)
        known = self._known(info.dataset)
        states = {path: hashed(state(each)) for path, each in known.items()}
        moved = [path for path, now in states.items() if self._before.get(path, now) != now]
        self._before = states
        drawn = [] if self._index is None else [path for path in moved if self._matters(path, info)]
        return Answer(info.id, answer, states, drawn)

    def _known(self, dataset: Any) -> dict[str, Any]:
        roots = {"dataset": dataset, "collate_fn": self._collate}
        held = {path: each for name, root in roots.items() for path, each in generators(name, root)}
        return {**held, **global_generators()}

    def _digest(self, sample: Any) -> bytes:
        return digest(list(named_tensors(self._collate(sample)).values()))

    def _matters(self, path: str, info: Any) -> bool:
        """Tell whether the sample changes with the numbers that one generator draws, all else kept.

        A number may decide between two (a flip), so that several are tried.
        """
        known = self._known(info.dataset)
        before = {name: state(each) for name, each in known.items()}
        came = set()
        for draws in range(_NUDGES):
            for _ in range(draws):
                advance(known[path])
            came.add(self._digest(_fetch(info.dataset, self._index)))
            for name, each in known.items():
                put_back(each, before[name])
        return len(came) > 1


def with_workers(trainee: Trainee) -> DataLoader[Any]:
    """Return the trainee's loader, if it is torch's and starts workers that can be watched.

    Raises:
        Skip: It is not, or does not.
    """
    loader = trainee.loader
    if loader is None:
        raise Skip("Trainee(loader=...) does not say what loads the batches")
    if not isinstance(loader, DataLoader):
        raise Skip(f"the loader is a {type(loader).__name__}, not a torch DataLoader")
    if loader.num_workers == 0:
        raise Skip("the loader starts no workers")
    context: Any = loader.multiprocessing_context or torch.multiprocessing
    if context.get_start_method() != "fork":
        raise Skip("the loader does not fork its workers, and starting them takes seconds")
    return loader


def streams(loader: DataLoader[Any]) -> bool:
    """Tell whether the data set is a stream that each worker runs through by itself."""
    return isinstance(loader.dataset, IterableDataset)


def epochs(loader: DataLoader[Any], answers: int, *, count: int = 1) -> list[list[list[Answer]]]:
    """Ask two workers (one, if the loader has one) for samples.

    A data set with indices is asked for its first index again and again.

    Args:
        loader: Where data set, collation and workers come from.
        answers: How many samples each worker is asked for.
        count: How many epochs; each has workers of its own.

    Returns:
        By epoch and worker, the answers in order.

    Raises:
        Skip: The workers do not answer.
    """
    workers = min(loader.num_workers, _WORKERS)
    asked = _again(loader, answers * workers)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for epoch in range(count):
            _set_epoch(loader, epoch)
            said = _answers(asked, answers * workers)
            found.append(
                [[each for each in said if each.worker == worker] for worker in range(workers)]
            )
    return found


def where(loader: DataLoader[Any], method: str) -> Optional[str]:
    """Return the line where the user's data set defines a method; None if it is a library's."""
    dataset: Any = loader.dataset
    while dataset is not None:
        line = defined_at(getattr(type(dataset), method, None))
        if line is not None:
            return line
        dataset = getattr(dataset, "dataset", None)
    return None


def _again(loader: DataLoader[Any], samples: int) -> DataLoader[Any]:
    """Return a loader like this one that asks for the first index over and over."""
    options: dict[str, Any] = {}
    index: Any = None
    if streams(loader):
        options["batch_size"] = loader.batch_size
    elif loader.batch_sampler is None:
        index = _first(loader.sampler)
        options.update(batch_size=None, sampler=[index] * samples)
    else:
        index = _first(loader.batch_sampler)[:1]
        options["batch_sampler"] = [index] * samples
    return DataLoader(
        loader.dataset,
        num_workers=min(loader.num_workers, _WORKERS),
        collate_fn=Witness(loader.collate_fn, index),
        worker_init_fn=loader.worker_init_fn,
        generator=loader.generator,
        multiprocessing_context=loader.multiprocessing_context,
        timeout=_MOST_SECONDS,
        **options,
    )


def _fetch(dataset: Any, index: Any) -> Any:
    return [dataset[each] for each in index] if isinstance(index, list) else dataset[index]


def _first(sampler: Any) -> Any:
    for index in sampler:
        return index
    raise Skip("the loader's sampler is empty")


def _answers(loader: DataLoader[Any], count: int) -> list[Answer]:
    iterator = iter(loader)
    try:
        return list(islice(iterator, count))
    except Exception as error:
        what = str(error).strip().splitlines()[-1:] or [""]
        raise Skip(f"the workers do not answer ({type(error).__name__}: {what[0]})") from error
    finally:
        # Left to the collector, it may end in a process forked later, and wait there.
        getattr(iterator, "_shutdown_workers", lambda: None)()


def _set_epoch(loader: DataLoader[Any], epoch: int) -> None:
    for each in (loader.dataset, loader.sampler):
        if hasattr(each, "set_epoch"):
            each.set_epoch(epoch)
