"""Other tokens at later positions, or at earlier ones: which outputs of a sequence they change.

Inputs are overwritten from a position on; shapes stay, and so the bits of what does not depend on
them. Some tokens have a use of their own: the placeholders of an image have to be as many as it has
parts. Where a model cannot be called with other tokens everywhere, those that the loss never asks
for are left as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

import torch

from torchproof.proofs.batches import plain_tensors
from torchproof.proofs.prediction.probe import module_at
from torchproof.proofs.prediction.replacement import in_float64, persists, restored, widen
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.process.trail import Mark, follow, parting
from torchproof.proofs.rule import Skip
from torchproof.proofs.sequences.sequences import by_position
from torchproof.proofs.step.inference import call_in_eval
from torchproof.proofs.tensors.bits import distance, distinct, elements_that_differ, same
from torchproof.proofs.tensors.trees import main_output, map_tensors


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.sequences.sequences import Sequence
    from torchproof.proofs.step.inference import Arguments
    from torchproof.proofs.step.trial import Trial

_Seen = TypeVar("_Seen")

_DIMS = len(("rows", "positions", "features"))
_MOST_CUTS = 8
_SEED = 0


@dataclass(frozen=True)
class Leak:
    """Other inputs from position ``cut`` on changed the output at ``position`` by ``gap``."""

    seen: Sequence
    cut: int
    position: int
    gap: float


def leak(bench: Bench, seen: Sequence, *, everywhere: bool) -> Optional[Leak]:
    """Find an output that depends on a later input; None if there is none.

    The input is changed from a position on, the rest and all shapes stay. Bits are compared in eval
    mode; where they differ it is repeated in float64.

    Args:
        bench: Where the trainee comes from.
        seen: The sequence to try.
        everywhere: Judge all positions, not only those that the loss reads.

    Raises:
        Skip: The model cannot be called as the step calls it.
    """
    judged = torch.ones_like(seen.asked) if everywhere else seen.asked
    found = _with_others(seen, lambda changed: _leak(bench, changed, judged, double=False))
    if found is None or not persists(
        found.gap, lambda: _gap(_leak(bench, found.seen, judged, double=True))
    ):
        return None
    return found


def where(bench: Bench, found: Leak) -> Optional[Mark]:
    """Return the first operation in which the positions before the cut are seen to change."""
    seen = found.seen
    rows, length = seen.asked.shape

    def pick(result: torch.Tensor) -> Optional[torch.Tensor]:
        # Weights between positions hold later ones in their last axis.
        laid = by_position(result, seen.axis)
        features = laid.dim() >= _DIMS and laid.shape[:2] == (rows, length)
        return laid[:, : found.cut] if features and laid.shape[2] != length else None

    trails = []
    with restored(bench) as trial:
        for given in (seen.call.arguments, overwritten(seen, slice(found.cut, length))):
            with fix_seed(bench.seed), follow(pick) as marks:
                outputs(trial, seen, given)
            trails.append(marks)
    return parting(*trails)


def uses_the_past(bench: Bench, seen: Sequence) -> bool:
    """Tell whether an output depends on an input at an earlier position."""
    cut = seen.asked.shape[1] // 2
    return bool(_changed_by(bench, seen, slice(0, cut))[:, cut:].any())


def uses_its_own(bench: Bench, seen: Sequence) -> bool:
    """Tell whether an output depends on the input at its own position, where later ones do not."""
    length = seen.asked.shape[1]
    return bool(_changed_by(bench, seen, slice(length // 2, length))[:, length // 2].any())


def _changed_by(bench: Bench, seen: Sequence, positions: slice) -> torch.Tensor:
    """Mark the elements of the output that other inputs at some positions change."""

    def changed(tried: Sequence) -> torch.Tensor:
        with restored(bench) as trial:
            first = outputs(trial, tried, tried.call.arguments)
            second = outputs(trial, tried, overwritten(tried, positions))
        return elements_that_differ(first, second)

    return _with_others(seen, changed)


def _with_others(seen: Sequence, look: Callable[[Sequence], _Seen]) -> _Seen:
    """Look at a sequence that may be changed everywhere, or else where the loss asks for it."""
    try:
        return look(seen)
    except Skip:
        if seen.shift is None:
            raise
        kept = ~seen.asked.roll(seen.shift, 1)
        if not bool(kept.any()) or bool(kept.all()):
            raise
        return look(replace(seen, kept=kept))


def _gap(found: Optional[Leak]) -> float:
    return 0.0 if found is None else found.gap


def _leak(bench: Bench, seen: Sequence, judged: torch.Tensor, *, double: bool) -> Optional[Leak]:
    length = seen.asked.shape[1]
    with restored(bench) as trial:
        given: Any = widen(trial, seen.call.arguments) if double else seen.call.arguments
        first = outputs(trial, seen, given)
        if not same(first, outputs(trial, seen, given)):
            raise Skip("two equal calls of the model in eval mode differ")
        leaks = []
        for cut in _cuts(length):
            changed = overwritten(seen, slice(cut, length))
            second = outputs(trial, seen, in_float64(changed) if double else changed)
            hurt = elements_that_differ(first, second).flatten(2).any(2) & judged
            for position in hurt[:, :cut].any(0).nonzero().flatten().tolist()[-1:]:
                gap = distance(first[:, position], second[:, position])
                leaks.append(Leak(seen, cut, position, gap))
    return max(leaks, key=lambda each: each.gap, default=None)


def _cuts(length: int) -> list[int]:
    """Return positions to cut at: the ends, and others spread over the sequence."""
    step = max(1, -(-(length - 1) // _MOST_CUTS))
    return sorted({*range(1, length, step), length // 2, length - 1} - {0})


def outputs(trial: Trial, seen: Sequence, arguments: Any) -> torch.Tensor:
    """Return what the model gives in eval mode for these arguments: (rows, positions, ...).

    Raises:
        Skip: It does not give one output for each position.
    """
    # Dropout that is on in eval mode draws the same numbers at each call.
    with fix_seed(_SEED):
        output = main_output(call_in_eval(module_at(trial.trainee, seen.call.path), arguments))
    laid = None if output is None else by_position(output.detach(), seen.axis)
    if laid is None or laid.shape[:2] != seen.asked.shape:
        raise Skip("in eval mode the model does not give one output for each position")
    return laid.clone() if laid.dim() >= _DIMS else laid.unsqueeze(-1).clone()


def overwritten(seen: Sequence, positions: slice) -> Arguments:
    """Return the arguments with the input overwritten at some positions, everywhere by others."""
    wanted = plain_tensors(seen.call.arguments)[seen.name]
    fresh = wanted.detach().clone()
    laid = by_position(fresh, seen.axis)
    laid[:, positions] = by_position(_other_values(wanted, seen.kept), seen.axis)[:, positions]
    return with_values(seen, fresh)


def with_values(seen: Sequence, values: torch.Tensor) -> Arguments:
    """Return the arguments with other values of the input."""
    wanted = plain_tensors(seen.call.arguments)[seen.name]
    changed: Arguments = map_tensors(
        seen.call.arguments, lambda each: values if each is wanted else each
    )
    return changed


def _other_values(tensor: torch.Tensor, kept: Optional[torch.Tensor]) -> torch.Tensor:
    """Return another value of the same tensor for each of its elements but those that are kept."""
    values = distinct(tensor if kept is None else tensor[~kept])
    if len(values) == 1:
        raise Skip("all tokens are the same")
    place = torch.searchsorted(values, tensor.contiguous())
    others = values[(place + 1) % len(values)]
    return others if kept is None else torch.where(kept, tensor, others)
