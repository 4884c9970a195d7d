"""Series that a model divides by a scale of their own and multiplies by it again, as DeepAR does.

Salinas et al., DeepAR (2017), section 3.3. The scale is that of the whole series, later numbers
among them, and yet it tells nothing of the next number but its unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchproof.proofs.batches import plain_tensors
from torchproof.proofs.prediction.replacement import in_float64, persists, restored, widen
from torchproof.proofs.sequences.leaks import outputs, with_values
from torchproof.proofs.sequences.sequences import by_position
from torchproof.proofs.tensors.bits import distance, same


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.sequences.sequences import Sequence


def in_its_own_unit(bench: Bench, seen: Sequence) -> bool:
    """Tell whether later numbers matter by a scale alone, which the output has as well.

    Their order does not matter then, and numbers twice as large are answered by outputs twice as
    large, bit for bit.
    """
    series = plain_tensors(seen.call.arguments)[seen.name]
    if not series.is_floating_point():
        return False
    gap = _gap_when_turned(bench, seen)
    if gap and persists(gap, lambda: _gap_when_turned(bench, seen, double=True)):
        return False
    with restored(bench) as trial:
        first = outputs(trial, seen, seen.call.arguments)
        second = outputs(trial, seen, with_values(seen, series * 2))
    return same(first * 2, second)


def _gap_when_turned(bench: Bench, seen: Sequence, *, double: bool = False) -> float:
    """Return how far the first half's outputs move when the second half's inputs are turned."""
    half = seen.asked.shape[1] // 2
    turned = plain_tensors(seen.call.arguments)[seen.name].detach().clone()
    laid = by_position(turned, seen.axis)
    laid[:, half:] = laid[:, half:].flip(1)
    changed = with_values(seen, turned)
    with restored(bench) as trial:
        given: Any = widen(trial, seen.call.arguments) if double else seen.call.arguments
        first = outputs(trial, seen, given)
        second = outputs(trial, seen, in_float64(changed) if double else changed)
    return distance(first[:, :half], second[:, :half])
