"""Models that give one output for each position of a sequence, and what is asked of each position.

Cross-entropy's gradient at a logit is the probability, less one at the label: its lowest entry says
which label a position was compared with, however the loss was computed. A series of numbers has its
targets found by `series`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import torch

from torchproof.proofs.batches import plain_tensors
from torchproof.proofs.prediction.probe import module_at, undisturbed
from torchproof.proofs.prediction.replacement import in_float64, persists, restored, widen
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.process.trail import Mark, follow, parting
from torchproof.proofs.rule import Skip
from torchproof.proofs.sequences.series import asks_for_the_next, numbers
from torchproof.proofs.step.inference import call_in_eval
from torchproof.proofs.tensors.bits import distance, distinct, elements_that_differ, same
from torchproof.proofs.tensors.trees import main_output, map_tensors


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call
    from torchproof.proofs.step.inference import Arguments
    from torchproof.proofs.step.trial import Trial

_DIMS = len(("rows", "positions", "features"))
_FIRST, _LAST = 1, -1
_SHIFTS = (1, 0, 2, -1, 3)
_LEAST = 4
_MOST_CUTS = 8
_SEED = 0


@dataclass(frozen=True)
class Sequence:
    """A model's call with one output for each position of its input.

    ``name`` is that of the input among the call's arguments; ``asked`` marks the positions (rows,
    positions) that the loss reads; ``shift`` says which token a position is trained to give: 1 the
    next one, 0 its own; None if it is another one. ``axis`` is that of the positions: 1, or -1
    where they lie behind the features.
    """

    call: Call
    name: str
    asked: torch.Tensor
    shift: Optional[int]
    axis: int = _FIRST


@dataclass(frozen=True)
class Leak:
    """Other inputs from position ``cut`` on changed the output at ``position`` by ``gap``."""

    cut: int
    position: int
    gap: float


def sequence(bench: Bench) -> Optional[Sequence]:
    """Return the sequence that the step trains on; one of a known shift, and no labels, first."""
    found = sequences_in(bench.once(undisturbed).judged)
    if all(each.shift is None for each in found):
        found = _series(bench) + found
    return min(found, key=lambda each: (each.shift is None, "label" in each.name), default=None)


def sequences_in(calls: list[Call]) -> list[Sequence]:
    """Return the inputs of calls for whose positions there is an output that the loss reads."""
    return [
        Sequence(call, name, asked, _shift(call, tensor, asked, axis), axis)
        for call in calls
        for axis in [_LAST if call.channels_second else _FIRST]
        for asked in [_asked(call, axis)]
        if asked is not None
        for name, tensor in plain_tensors(call.arguments).items()
        if by_position(tensor, axis).shape[:2] == asked.shape and not _is_mask(name, tensor)
    ]


def _series(bench: Bench) -> list[Sequence]:
    """Return the first series of numbers each of which the step trains to give the next."""
    for call in bench.once(undisturbed).judged:
        axis = _LAST if call.channels_second else _FIRST
        for name, tensor in plain_tensors(call.arguments).items():
            image = call.channels_second and tensor.dim() > _DIMS
            if call.gradient is None or image or _is_mask(name, tensor):
                continue
            if asks_for_the_next(bench, call, tensor, axis):
                asked = numbers(call.gradient, axis).ne(0).any(2)
                return [Sequence(call, name, asked, 1, axis)]
    return []


def along_the_other_axis(seen: Sequence) -> Optional[Sequence]:
    """Return the sequence read along the features, where these could be the positions as well."""
    tensor, output = plain_tensors(seen.call.arguments)[seen.name], seen.call.output
    if output is None or not tensor.dim() == output.dim() == _DIMS or output.shape[-1] == 1:
        return None
    if seen.call.channels_second or tensor.shape[-1] != output.shape[-1]:
        return None
    asked = torch.ones_like(output[:, 0], dtype=torch.bool)
    return Sequence(seen.call, seen.name, asked, None, _LAST)


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
    found = _leak(bench, seen, judged, double=False)
    if found is None or not persists(
        found.gap, lambda: _gap(_leak(bench, seen, judged, double=True))
    ):
        return None
    return found


def where(bench: Bench, seen: Sequence, found: Leak) -> Optional[Mark]:
    """Return the first operation in which the positions before the cut are seen to change."""
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
    with restored(bench) as trial:
        first = outputs(trial, seen, seen.call.arguments)
        cut = seen.asked.shape[1] // 2
        second = outputs(trial, seen, overwritten(seen, slice(0, cut)))
    return bool(elements_that_differ(first, second)[:, cut:].any())


def uses_its_own(bench: Bench, seen: Sequence) -> bool:
    """Tell whether an output depends on the input at its own position, where later ones do not."""
    with restored(bench) as trial:
        first = outputs(trial, seen, seen.call.arguments)
        length = seen.asked.shape[1]
        second = outputs(trial, seen, overwritten(seen, slice(length // 2, length)))
    return bool(elements_that_differ(first, second)[:, length // 2].any())


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
                leaks.append(Leak(cut, position, gap))
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
    laid[:, positions] = by_position(_other_values(wanted), seen.axis)[:, positions]
    return with_values(seen, fresh)


def with_values(seen: Sequence, values: torch.Tensor) -> Arguments:
    """Return the arguments with other values of the input."""
    wanted = plain_tensors(seen.call.arguments)[seen.name]
    changed: Arguments = map_tensors(
        seen.call.arguments, lambda each: values if each is wanted else each
    )
    return changed


def _other_values(tensor: torch.Tensor) -> torch.Tensor:
    """Return another value of the same tensor for each of its elements."""
    values = distinct(tensor)
    if len(values) == 1:
        raise Skip("all tokens are the same")
    place = torch.searchsorted(values, tensor.contiguous())
    return values[(place + 1) % len(values)]


def by_position(tensor: torch.Tensor, axis: int) -> torch.Tensor:
    """Return the tensor as (rows, positions, features), where its positions lie along an axis."""
    return tensor.transpose(1, axis) if tensor.dim() == _DIMS else tensor


def _asked(call: Call, axis: int) -> Optional[torch.Tensor]:
    """Return which positions the loss reads, where the output has positions."""
    if call.gradient is None or call.gradient.dim() < _DIMS or call.gradient.shape[axis] < _LEAST:
        return None
    if axis == _LAST and call.gradient.dim() > _DIMS:
        return None
    return by_position(call.gradient, axis).flatten(2).ne(0).any(2)


def _is_mask(name: str, tensor: torch.Tensor) -> bool:
    return "mask" in name or tensor.dtype == torch.bool or distinct(tensor).numel() == 1


def _shift(call: Call, tokens: torch.Tensor, asked: torch.Tensor, axis: int) -> Optional[int]:
    """Return how far the label of a position lies behind it in the tokens."""
    if call.gradient is None or call.gradient.dim() != _DIMS or tokens.shape != asked.shape:
        return None
    if tokens.is_floating_point() or not (call.gradient < 0).any():
        return None
    labels = by_position(call.gradient, axis).argmin(2)
    length = asked.shape[1]
    for shift in _SHIFTS:
        places = torch.arange(length, device=asked.device) + shift
        inside = asked & ((places >= 0) & (places < length))
        agree = labels == tokens[:, places.clamp(0, length - 1)]
        if int(inside.sum()) >= _LEAST and bool(agree[inside].all()):
            return shift
    return None
