"""The workers of a loader must share a stream between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding
from torchproof.proofs.parallel.loaders import epochs, streams, where, with_workers
from torchproof.proofs.rule import Skip, rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "worker-shards"
_ANSWERS = 3


@rule(
    ID,
    summary="an IterableDataset is split between workers, not given to each of them",
    source="PyTorch, torch.utils.data.IterableDataset (duplicate data with several workers)",
    needs=(),
    severity="error",
)
def worker_shards(bench: Bench) -> Iterator[Finding]:
    """No two workers of a loader bring the same samples of an ``IterableDataset``.

    Each worker runs through its own copy of the stream, so that a stream which does not ask
    ``get_worker_info()`` comes once from each. Decided by starting two workers as the loader does:
    the first batches of both are the same bits, and not all alike.

    Assumes that no stream is meant to come several times. Skipped without a torch ``DataLoader``
    that forks two workers over an ``IterableDataset``, if there are not three batches or all are
    alike, and if the workers do not answer.
    """
    if not streams(with_workers(bench.trainee)):
        raise Skip("the data set has indices, which the loader shares out itself")
    with bench.trial() as trial:
        loader = with_workers(trial.trainee)
        (workers,) = epochs(loader, _ANSWERS)
    brought = [[each.sample for each in answers] for answers in workers]
    if len(brought) == 1:
        raise Skip("the loader has one worker")
    if len(brought[0]) < _ANSWERS or len(set(brought[0])) == 1:
        raise Skip("the stream has too few batches to tell whose they are")
    if brought[0] == brought[1]:
        yield Finding(
            ID,
            "error",
            f"Each of the loader's {loader.num_workers} workers brings the whole stream: every "
            f"sample comes {loader.num_workers} times in an epoch.",
            evidence={"batches compared": _ANSWERS, "workers": loader.num_workers},
            location=where(loader, "__iter__"),
            remedy="info = get_worker_info(); yield from islice(rows, info.id, None, "
            "info.num_workers)",
        )
