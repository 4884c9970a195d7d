"""Labels of a sequence that went round its end: the last one stands at a place among the first.

The labels of one position are overwritten in all rows while the outputs are held: the gradient
changes at the position that they are compared with. Shifted labels may be meant, as those of what
comes next; that some of them come round from the other end is not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.pairing import aligned
from torchproof.proofs.prediction.probe import probe, undisturbed
from torchproof.proofs.tensors.bits import elements_that_differ
from torchproof.proofs.tensors.trees import map_tensors


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.batches import Parted
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call, Probe

_PER_POSITION = len(("rows", "positions"))
_FEWEST = 4


class Wrapped(NamedTuple):
    """A position of the labels, and the position of the output that they are compared with."""

    position: int
    place: int


def wrapped(bench: Bench) -> Optional[Wrapped]:
    """Find labels that are shifted around the end of their sequence, by as much in all rows.

    Not judged are labels that are the inputs, inputs that the step moves as well, and a loss that
    looks for the best shift: it finds another one for outputs that are shifted.

    Raises:
        Skip: The step does not run on a batch with other values.
    """
    whole = parted(bench.trainee)
    for labels in whole.labels.values():
        own = not any(_equal(labels, each) for each in whole.inputs.values())
        if own and labels.dim() >= _PER_POSITION and labels.shape[1] >= _FEWEST:
            found = _wrapped(bench, whole, labels)
            if found is not None:
                return found
    return None


def _wrapped(bench: Bench, whole: Parted, labels: torch.Tensor) -> Optional[Wrapped]:
    before, last = bench.once(undisturbed), labels.shape[1] - 1
    others = [_overwritten(whole, [labels], position) for position in (0, last)]
    place = _place(labels, before, probe(bench, others[1], held=before))
    if place is None or place == last:
        return None
    first = _place(labels, before, probe(bench, others[0], held=before))
    if first != (place + 1) % labels.shape[1] or not _inputs_stay(bench, whole, labels):
        return None
    turned = _turned(before)
    runs = [probe(bench, batch, held=turned) for batch in (whole.batch, others[1])]
    if _place(labels, *runs) != place:
        return None
    return Wrapped(last, place) if place < last // 2 else Wrapped(0, first)


def _equal(labels: torch.Tensor, given: torch.Tensor) -> bool:
    alike = labels.numel() == given.numel() and labels.dtype == given.dtype
    return alike and bool((labels.flatten() == given.flatten()).all())


def _overwritten(whole: Parted, chosen: list[torch.Tensor], position: int) -> Any:
    """Return the batch in which each row has what another one has at a position."""

    def overwrite(tensor: torch.Tensor) -> torch.Tensor:
        if not any(tensor is each for each in chosen):
            return tensor
        fresh = tensor.detach().clone()
        fresh[:, position] = tensor.detach()[:, position].roll(1, 0)
        return fresh.requires_grad_(tensor.requires_grad)

    return map_tensors(whole.batch, overwrite)


def _place(labels: torch.Tensor, before: Probe, after: Probe) -> Optional[int]:
    """Return the only position of an output at which the gradient differs; None without one."""
    for one, other in aligned(before, after):
        if _has_positions(one.gradient, labels) and _has_positions(other.gradient, labels):
            return _only_one(one.gradient, other.gradient)
    return None


def _inputs_stay(bench: Bench, whole: Parted, labels: torch.Tensor) -> bool:
    """Tell whether the model is given the first and the last position where the batch has them."""
    chosen = [each for each in whole.inputs.values() if _has_positions(each, labels)]
    before = bench.once(undisturbed)
    for position in (0, labels.shape[1] - 1):
        after = probe(bench, _overwritten(whole, chosen, position))
        places = {
            _only_one(each, other[name])
            for one, two in aligned(before, after)
            for other in [plain_tensors(two.arguments)]
            for name, each in plain_tensors(one.arguments).items()
            if _has_positions(each, labels) and name in other
        }
        if places - {None} != {position}:
            return False
    return True


def _turned(before: Probe) -> Probe:
    """Return a run whose outputs are shifted around the end of their sequence."""

    def turn(call: Call) -> Call:
        if call.output is None or call.output.dim() < _PER_POSITION:
            return call
        return replace(call, output=call.output.roll(1, 1))

    return replace(before, calls=[turn(each) for each in before.calls])


def _has_positions(tensor: Optional[torch.Tensor], labels: torch.Tensor) -> bool:
    return tensor is not None and tensor.shape[:_PER_POSITION] == labels.shape[:_PER_POSITION]


def _only_one(first: Optional[torch.Tensor], second: Optional[torch.Tensor]) -> Optional[int]:
    """Return the only position at which two tensors differ; None without one."""
    if first is None or second is None or first.shape != second.shape:
        return None
    rows, positions = first.shape[:_PER_POSITION]
    differ = elements_that_differ(first, second).reshape(rows, positions, -1).any(2).any(0)
    places: list[int] = differ.nonzero().flatten().tolist()
    return places[0] if len(places) == 1 else None
