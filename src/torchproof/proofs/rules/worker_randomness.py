"""The workers of a loader must draw random numbers of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parallel.loaders import Answer, epochs, streams, where, with_workers
from torchproof.proofs.rule import Skip, rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.utils.data import DataLoader

    from torchproof.proofs.bench import Bench

ID = "worker-randomness"
_ANSWERS = 3


@rule(
    ID,
    summary="no two workers of a loader augment with the same random numbers",
    source="stackoverflow.com/q/67180955; tanelp.github.io (numpy and DataLoader workers)",
    needs=(),
    severity="error",
)
def worker_randomness(bench: Bench) -> Iterator[Finding]:
    """A generator that a data set draws from is in another state in each worker.

    Workers are copies of the process that starts them: torch seeds its own generator, python's and
    numpy's global one in each, but not those that the data set holds. Decided by starting two
    workers as the loader does and fetching the sample of one index three times in each: a generator
    is drawn from if its state moves from fetch to fetch and, all others kept, its numbers decide
    what the sample is; both workers draw the same ones if its states are equal after every fetch
    (error). If only the workers of two epochs draw the same numbers (a generator seeded with the
    worker's number, or a single worker), it is a warning.

    Assumes that ``set_epoch`` is called where there is one. Skipped without a torch ``DataLoader``
    that forks workers, for an ``IterableDataset``, whose workers may shuffle alike on purpose, and
    if the workers do not answer.
    """
    if streams(with_workers(bench.trainee)):
        raise Skip("the data set is a stream, whose workers may shuffle alike on purpose")
    with bench.trial() as trial:
        loader = with_workers(trial.trainee)
        seen = epochs(loader, _ANSWERS, count=1 if loader.persistent_workers else 2)
        alike = _alike(*seen[0]) if len(seen[0]) > 1 else []
        again = _alike(seen[0][0], seen[1][0]) if len(seen) > 1 else []
    if alike:
        who = "Workers draw the same random numbers"
        yield _finding(loader, "error", alike, who)
    elif again:
        yield _finding(loader, "warning", again, "Every epoch draws the same random numbers")


def _alike(first: list[Answer], second: list[Answer]) -> list[str]:
    """Name the generators that are drawn from and go through the same states in both."""
    if len(first) < _ANSWERS or len(second) < _ANSWERS:
        return []
    pairs = list(zip(first, second))
    return [
        name
        for name in first[-1].drawn
        if all(one.states.get(name) == other.states.get(name) for one, other in pairs)
    ]


def _finding(loader: DataLoader[object], severity: str, names: list[str], what: str) -> Finding:
    return Finding(
        ID,
        severity,
        f"{what}: {listed(names)} starts in the same state in each, and what it draws decides "
        "what the samples are.",
        evidence={"generators": listed(names), "samples fetched by each worker": _ANSWERS},
        location=where(loader, "__getitem__"),
        remedy="rng = np.random.default_rng(torch.initial_seed())  # at the first __getitem__, in "
        "the worker; or draw by torch.rand",
    )
