"""A loader that shuffles must shuffle anew in every epoch."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torch.utils.data import DataLoader, IterableDataset, Sampler

from torchproof.proofs.finding import Finding
from torchproof.proofs.process.drawings import drawings
from torchproof.proofs.process.fingerprints import digest
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.tensors.trees import named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torchproof.proofs.bench import Bench

ID = "epoch-order"
_MOST_INDICES = 10_000
_MOST_BATCHES = 32
_FEWEST = 3
_TOLD = "set_epoch has to be called by the training loop, which is not seen here"
# A loader of another kind may draw its samples by the others.
_SHUFFLING = ("randperm",)
_SAMPLING = ("randperm", "randint", "multinomial")


class _Epoch(NamedTuple):
    """What came in an epoch, and the line that drew its order, if one was drawn."""

    came: list[bytes]
    drawn: bool
    location: Optional[str]


@rule(
    ID,
    summary="a loader that shuffles draws another order in every epoch",
    source="PyTorch, DistributedSampler.set_epoch (same ordering in every epoch without it)",
    needs=(),
    severity="error",
)
def epoch_order(bench: Bench) -> Iterator[Finding]:
    """Two epochs of a loader that draws its order at random are in different orders.

    Decided by running through two epochs: of the indices that a ``DataLoader`` samples, of the
    batches that another loader yields or one of a stream. It is an error if both draw a permutation
    by torch and come out the same: the generator starts from one seed each time, or ``set_epoch``
    is never called.

    Assumes that data are used for more than one epoch. Skipped without a loader, if it, its
    ``sampler`` or stream has ``set_epoch`` (the training loop calls it, which is not seen here) or
    the stream an ``epoch``, if workers draw the order of a stream, if it can be iterated once only,
    as a stream without end is, and if an epoch is too short or too long to tell. A loader of the
    project's own that counts its epochs, in an attribute that grows by one each time, is judged
    although its sampler has ``set_epoch``: it knows what to tell it.
    """
    if bench.trainee.loader is None:
        raise Skip("Trainee(loader=...) does not say what loads the batches")
    with bench.trial() as trial:
        loader = trial.trainee.loader
        source = _source(loader)
        counts = [_counters(loader)]
        first, second = (_counted(source, loader, counts) for _ in range(2))
        if _is_told(loader, source) and not _grows_by_one(*counts):
            raise Skip(_TOLD)
    if len(first.came) < _FEWEST:
        raise Skip("the loader's epoch is too short to tell one order from another")
    if first.drawn and second.drawn and first.came == second.came and len(set(first.came)) > 1:
        yield Finding(
            ID,
            "error",
            "The loader shuffles, but every epoch comes in the same order.",
            evidence={"compared": len(first.came), "epochs": 2},
            location=second.location,
            remedy="sampler.set_epoch(epoch)  # before each epoch; or one generator that goes on: "
            "DataLoader(..., shuffle=True, generator=g)",
        )


def _source(loader: Any) -> Iterable[Any]:
    """Return what says the order: a DataLoader's sampler, or else the loader.

    Raises:
        Skip: Another hand may change the order, or there is only one epoch.
    """
    source: Any = loader
    if isinstance(loader, DataLoader):
        stream = isinstance(loader.dataset, IterableDataset)
        if stream and loader.num_workers:
            raise Skip("the data set is a stream, whose order its workers draw")
        ordered = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
        source = loader if stream else ordered
    own = callable(getattr(loader, "set_epoch", None)) or isinstance(loader, DataLoader)
    if own and _is_told(loader, source):
        raise Skip(_TOLD)
    if iter(source) is source:
        raise Skip("the loader can be iterated once only")
    iterable: Iterable[Any] = source
    return iterable


def _is_told(loader: Any, source: Any) -> bool:
    """Tell whether another hand can say which epoch it is."""
    told = (loader, source, getattr(source, "sampler", 0), getattr(source, "dataset", 0))
    return any(hasattr(each, "set_epoch") for each in told) or hasattr(told[-1], "epoch")


def _counted(source: Iterable[Any], loader: Any, counts: list[dict[str, int]]) -> _Epoch:
    """Run through an epoch, and note the whole numbers that the loader then holds."""
    epoch = _run(source)
    counts.append(_counters(loader))
    return epoch


def _counters(loader: Any) -> dict[str, int]:
    held = getattr(loader, "__dict__", {})
    return {name: each for name, each in held.items() if type(each) is int}


def _grows_by_one(first: dict[str, int], second: dict[str, int], third: dict[str, int]) -> bool:
    return any(
        second.get(name) == each + 1 and third.get(name) == each + 2 for name, each in first.items()
    )


def _run(source: Iterable[Any]) -> _Epoch:
    """Run through an epoch: the indices of a sampler, or the batches of another loader.

    Raises:
        Skip: It does not end soon.
    """
    samples = isinstance(source, Sampler)
    most = _MOST_INDICES if samples else _MOST_BATCHES
    iterator = iter(source)
    with drawings() as drawn:
        came = [_written(each) for each in islice(iterator, most + 1)]
    # A loader inside may have started workers; they end with the iterator.
    getattr(iterator, "close", lambda: None)()
    if len(came) > most:
        raise Skip(f"the loader's epoch does not end within {most} steps")
    shuffles = [each for each in drawn if each.name in (_SAMPLING if samples else _SHUFFLING)]
    return _Epoch(came, bool(shuffles), next((each.location for each in shuffles), None))


def _written(came: Any) -> bytes:
    tensors = list(named_tensors(came).values())
    return digest(tensors) if tensors else repr(came).encode()
