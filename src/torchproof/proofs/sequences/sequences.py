"""Models that give one output for each position of a sequence, and what is asked of each position.

Cross-entropy's gradient at a logit is the probability, less one at the label: its lowest entry says
which label a position was compared with, however the loss was computed. A series of numbers has its
targets found by `series`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

import torch

from torchproof.proofs.batches import plain_tensors
from torchproof.proofs.prediction.probe import undisturbed
from torchproof.proofs.sequences.series import asks_for_the_next, numbers
from torchproof.proofs.tensors.bits import distinct


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call

_DIMS = len(("rows", "positions", "features"))
_FIRST, _LAST = 1, -1
_SHIFTS = (1, 0, 2, -1, 3)
_LEAST = 4


@dataclass(frozen=True)
class Sequence:
    """A model's call with one output for each position of its input.

    ``name`` is that of the input among the call's arguments; ``asked`` marks the positions (rows,
    positions) that the loss reads; ``shift`` says which token a position is trained to give: 1 the
    next one, 0 its own; None if it is another one. ``axis`` is that of the positions: 1, or -1
    where they lie behind the features. ``kept`` marks the tokens that are not to be changed, if not
    all may be.
    """

    call: Call
    name: str
    asked: torch.Tensor
    shift: Optional[int]
    axis: int = _FIRST
    kept: Optional[torch.Tensor] = None


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
