"""Series of numbers: whether a loss asks each position for the numbers that come next.

A distance between output and target is least where both are equal, and its gradient is 0 there:
squares, absolute values, Huber's loss, a Gaussian's likelihood, however they are written. So the
loss is given the next numbers of the model's own input in place of the output. If its gradient
vanishes at them, and at no others, they are what it asks for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Optional

import torch

from torchproof.proofs.batches import parted
from torchproof.proofs.prediction.probe import Probe, probe, undisturbed
from torchproof.proofs.rule import Skip


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call

_LEAST = 4
_POSITIONS = len(("rows", "positions"))


def asks_for_the_next(bench: Bench, call: Call, series: torch.Tensor, axis: int) -> bool:
    """Tell whether the loss compares a call's output with the call's input one position later.

    Every other position is given the next numbers, those between other ones. A series whose end is
    asked for its beginning is rolled round, as a field in space is: it has no order in time.

    Args:
        bench: Where the trainee comes from.
        call: A call of the undisturbed run.
        series: The input, numbers at positions.
        axis: That of the positions, of input and output.
    """
    output, gradient = call.output, call.gradient
    if output is None or gradient is None or call.has_loss or output.dtype != series.dtype:
        return False
    if min(output.dim(), series.dim()) < _POSITIONS:
        return False
    own, asked = numbers(series, axis), numbers(gradient, axis).ne(0)
    length, count = asked.shape[1], min(own.shape[2], asked.shape[2])
    if not series.is_floating_point() or own.shape[:2] != asked.shape[:2] or length <= _LEAST:
        return False
    asked = asked[..., :count]
    # One of several numbers may be the target, and then it is mostly the first or the last.
    for chosen in dict.fromkeys((0, own.shape[2] - count)):
        now = own[..., chosen : chosen + count]
        if _vanishes_at_the_next(bench, call, now, asked, axis):
            return True
    return False


def numbers(tensor: torch.Tensor, axis: int) -> torch.Tensor:
    """Return a tensor as (rows, positions, numbers), where its positions lie along an axis."""
    laid = tensor.unsqueeze(-1) if tensor.dim() == _POSITIONS else tensor.movedim(axis, 1)
    return laid.flatten(2)


def _vanishes_at_the_next(
    bench: Bench, call: Call, now: torch.Tensor, asked: torch.Tensor, axis: int
) -> bool:
    following = now.roll(-1, 1)
    between = torch.arange(asked.shape[1], device=asked.device) % 2 == 1
    between[-1] = False
    after = _gradient(bench, call, following + between[:, None], axis)
    if after is None:
        return False
    zero = after[..., : asked.shape[2]] == 0
    at, others = asked & ~between[:, None], asked & between[:, None]
    at_the_end = asked[:, -1]
    rolled = bool(at_the_end.any()) and bool(zero[:, -1][at_the_end].all())
    at[:, -1] = False
    enough = min(int(each.any(2).any(0).sum()) for each in (at, others)) >= _LEAST // 2
    moves = bool((following != now)[at].any())
    return enough and moves and not rolled and torch.equal(zero & (at | others), at)


def _gradient(bench: Bench, call: Call, values: torch.Tensor, axis: int) -> Optional[torch.Tensor]:
    """Return the gradient at a call's output, whose first numbers were replaced by these."""
    output = call.output
    if output is None:
        return None
    given = output.clone()
    moved = given if given.dim() == _POSITIONS else given.movedim(axis, 1)
    laid = numbers(output, axis).clone()
    laid[..., : values.shape[2]] = values
    moved.copy_(laid.reshape(moved.shape))
    held = Probe(
        calls=[
            replace(each, output=given if each is call else None)
            for each in bench.once(undisturbed).calls
        ]
    )
    try:
        found = probe(bench, parted(bench.trainee).batch, held=held)
    except Skip:
        return None
    same_call = zip(bench.once(undisturbed).calls, found.calls)
    after = next((other for each, other in same_call if each is call), None)
    if after is None or not after.held or after.gradient is None:
        return None
    return numbers(after.gradient, axis)
