"""A prediction that is made token by token, beside the model's own for the whole sequence."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.answers import answers
from torchproof.proofs.prediction.promoted import SHRINKS
from torchproof.proofs.prediction.replacement import (
    Unrounded,
    in_float64,
    predicted,
    restored,
    widen,
)
from torchproof.proofs.sequences.leaks import outputs, overwritten
from torchproof.proofs.tensors.bits import HALF_THE_DIGITS, distance, same
from torchproof.proofs.tensors.trees import map_tensors


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.sequences.sequences import Sequence
    from torchproof.proofs.step.inference import Arguments
    from torchproof.proofs.step.trial import Trial

# What is predicted of scores, where they are not returned themselves.
_SHOWN: tuple[Any, ...] = (
    partial(torch.softmax, dim=-1),
    partial(torch.log_softmax, dim=-1),
    torch.sigmoid,
)


class Parting(NamedTuple):
    """The first position at which the two differ, and the largest difference of all positions."""

    position: int
    gap: float


def parting_of_ways(bench: Bench, seen: Sequence) -> Optional[Parting]:
    """Find where ``predict`` leaves what the trained model gives for the whole sequence.

    It has to be made of calls none of which gives all positions, and to agree at the first position
    with the model's output or its softmax, logarithmic softmax or sigmoid. Where it parts, it has
    to depend on every token on which the model's output depends, or never on any but the newest: a
    window that forgets the first tokens, and a text that goes on with its own tokens, say something
    else on purpose. All in float64.

    Raises:
        Skip: One of the two cannot be computed in it.
    """
    if bench.trainee.predict is None:
        return None
    with restored(bench) as trial, Unrounded():
        inputs = widen(trial, parted(bench.trainee).batch)
        whole = outputs(trial, seen, in_float64(seen.call.arguments))
        with answers() as found:
            steps = _by_step(bench, trial, seen, inputs)
        if steps.shape != whole.shape or any(_is_whole(each.output, seen) for each in found):
            return None
        ways = [_parting(way(whole), steps) for way in (torch.clone, *_SHOWN)]
        at = next((each for each in ways if each is not None and each.position), None)
        if at is None or None in ways:
            return None
        meant = not _sees_as_much(bench, trial, seen, inputs, at.position)
        return None if meant and not _forgets_all(bench, trial, seen, inputs) else at


def _by_step(bench: Bench, trial: Trial, seen: Sequence, inputs: Any) -> torch.Tensor:
    prediction = predicted(bench, trial, inputs)
    return prediction if prediction.dim() > seen.asked.dim() else prediction.unsqueeze(-1)


def _is_whole(output: Optional[torch.Tensor], seen: Sequence) -> bool:
    """Tell whether an output has the shape of the model's for the whole sequence."""
    return (
        output is not None
        and seen.call.output is not None
        and output.shape == seen.call.output.shape
    )


def _parting(whole: torch.Tensor, steps: torch.Tensor) -> Optional[Parting]:
    """Return where the two begin to differ by more than rounding; None if they do not."""
    if not bool(whole.isfinite().all()) or not bool(steps.isfinite().all()):
        return Parting(0, float("inf"))
    gaps = (whole - steps).abs().flatten(2).amax((0, 2))
    largest = float(gaps.max())
    if largest <= HALF_THE_DIGITS * float(whole.abs().max()):
        return None
    first = int((gaps > largest * SHRINKS).nonzero()[0])
    return Parting(first, largest)


def _sees_as_much(bench: Bench, trial: Trial, seen: Sequence, inputs: Any, at: int) -> bool:
    """Tell whether the prediction at a position depends on each token that the model's does."""
    whole = outputs(trial, seen, in_float64(seen.call.arguments))
    steps = _by_step(bench, trial, seen, inputs)
    for place in range(at + 1):
        given = overwritten(seen, slice(place, place + 1))
        if not distance(whole[:, at], outputs(trial, seen, in_float64(given))[:, at]):
            continue
        others = _in_the_batch(seen, given, inputs)
        if others is None or not distance(
            steps[:, at], _by_step(bench, trial, seen, others)[:, at]
        ):
            return False
    return True


def _forgets_all(bench: Bench, trial: Trial, seen: Sequence, inputs: Any) -> bool:
    """Tell whether the last prediction depends on the last token and on no other."""
    first, last = _by_step(bench, trial, seen, inputs)[:, -1], seen.asked.shape[1] - 1
    moved = []
    for places in (slice(0, last), slice(last, last + 1)):
        others = _in_the_batch(seen, overwritten(seen, places), inputs)
        second = None if others is None else _by_step(bench, trial, seen, others)[:, -1]
        moved.append(second is not None and bool(distance(first, second)))
    return moved == [False, True]


def _in_the_batch(seen: Sequence, given: Arguments, inputs: Any) -> Any:
    """Return the batch with the other tokens in it; None if the sequence is not found there."""
    old = plain_tensors(seen.call.arguments)[seen.name]
    new = plain_tensors(given)[seen.name]
    part = tuple(slice(0, size) for size in old.shape)
    held = [
        each
        for each in plain_tensors(inputs).values()
        if each.dim() == old.dim() and same(each[part], old.to(each.dtype))
    ]

    def change(tensor: torch.Tensor) -> torch.Tensor:
        fresh = tensor.detach().clone()
        if any(tensor is each for each in held):
            fresh[part] = new.to(tensor.dtype)
        return fresh

    return map_tensors(inputs, change) if held else None
