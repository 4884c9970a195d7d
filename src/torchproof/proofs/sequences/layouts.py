"""In which order of axes a loss reads the scores of classes at places.

The gradient of cross-entropy is negative at one score of each place, that of its label. In a row of
P places and C classes the score of class c at place p is the number p * C + c where classes come
last, and c * P + p where places do. Whoever reshapes an output instead of exchanging its axes
reads it in the other order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

import torch

from torchproof.proofs.batches import parted
from torchproof.proofs.prediction.probe import undisturbed


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call

_DIMS = len(("rows", "places", "classes"))


class _Scores(NamedTuple):
    """The gradient at scores, by row, and how many classes and places a row has in which order."""

    flat: torch.Tensor
    classes: int
    classes_last: bool


def read_in_the_other_order(bench: Bench) -> Optional[list[int]]:
    """Return the shape of an output whose scores the loss reads in the order that it has not.

    There is a label for each place, and the loss asks for exactly these labels in that order. The
    order is that of the output's axes, or of the linear layer's that it is a view of.
    """
    labels = parted(bench.trainee).labels.values()
    for call in bench.once(undisturbed).judged:
        for each in (one for one in labels if not one.is_floating_point()):
            ways = _ways(call, each)
            right, wrong = (any(_asks(way, each, other=it) for way in ways) for it in (False, True))
            if call.gradient is not None and wrong and not right:
                return list(call.gradient.shape)
    return None


def _ways(call: Call, labels: torch.Tensor) -> list[_Scores]:
    """Return the orders in which an output may hold scores for these labels, one for each place.

    Of a linear layer the classes come last, of a convolution second. Where there are as many
    classes as places, the axes do not tell the one order from the other.
    """
    gradient = call.gradient
    if gradient is None or gradient.dim() < _DIMS:
        return []
    last = gradient.dim() - 1
    axes = [axis for axis in (1, last) if _without(gradient.shape, axis) == labels.shape]
    if call.products:
        same = [each for each in call.products if axes and each.numel() == gradient.numel()]
        rows = [each.reshape(len(gradient), -1) for each in same]
        found = [_Scores(row, each.shape[-1], classes_last=True) for row, each in zip(rows, same)]
    else:
        known = [axis for axis in axes if axis == 1 or not call.channels_second]
        found = [_Scores(gradient.flatten(1), gradient.shape[axis], axis == last) for axis in known]
    places = labels.numel() // len(gradient)
    return [each for each in found if each.flat.shape[1] == places * each.classes != places**2]


def _without(shape: torch.Size, axis: int) -> torch.Size:
    return torch.Size((*shape[:axis], *shape[axis + 1 :]))


def _asks(scores: _Scores, labels: torch.Tensor, *, other: bool) -> bool:
    """Tell whether the loss asks for these labels in the order of the scores, or in the other."""
    flat, classes = scores.flat, scores.classes
    wanted = labels.reshape(len(flat), -1).to(flat.device, torch.long)
    known = (wanted >= 0) & (wanted < classes)
    places = torch.arange(wanted.shape[1], device=flat.device)
    last = scores.classes_last is not other
    numbers = places * classes + wanted if last else wanted * len(places) + places
    asked = torch.zeros_like(flat, dtype=torch.bool)
    rows = torch.arange(len(flat), device=flat.device)[:, None].expand_as(numbers)
    asked[rows[known], numbers[known]] = True
    return torch.equal(asked, flat < 0)
