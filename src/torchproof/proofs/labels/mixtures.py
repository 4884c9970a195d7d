"""Inputs that are mixed of two rows, and the shares in which their labels are.

An argument of a model is a *blend* if it is s·x + (1 - s)·x' of its row and of one other (mixup,
https://arxiv.org/abs/1710.09412), and a *cut* if it is its row with a rectangle of one other in it
(CutMix, https://arxiv.org/abs/1905.04899). The share of a label is how far it moves the gradient at
the output of this row, beside the other label, where both are moved from one class to another: the
same for every loss that is a sum over the labels with shares as weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

import torch

from torchproof.proofs.batches import another_row, parted, plain_tensors, rows_from
from torchproof.proofs.prediction.probe import probe, undisturbed


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.batches import Parted
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Probe

# A cut at the border of an image, or a share that is one half, comes with some seeds only.
_SEEDS = 3
_JUDGED = 2
# A permutation leaves one row where it is, on average.
_ROWS = 8
_FEWEST = 3
_PICTURE = len(("lines", "columns"))
# The operations behind a number, each with one rounding.
_ROUNDINGS = 16


class Mixture(NamedTuple):
    """A row of a model's arguments that is mixed of itself and another.

    ``least`` and ``most`` bound the share that its own label can have; for a blend they are equal.
    """

    call: int
    row: int
    other: int
    least: float
    most: float
    is_cut: bool


class Unfair(NamedTuple):
    """A mixture, and the share that the label of its own row has in the loss."""

    mixture: Mixture
    share: float


def unfair_mixture(bench: Bench) -> Optional[Unfair]:
    """Find inputs and labels that are mixed in different shares; None if there are none.

    The shares of a blend are exchanged; those of a cut differ by more than whole pixels explain.
    They are the same in two rows, as they are not where a model finds them.

    Raises:
        Skip: The step does not run on a batch with other labels.
    """
    whole = parted(bench.trainee)
    if not _mixed(whole, bench.once(undisturbed)):
        return None
    for turn in range(_SEEDS):
        seed = bench.seed + turn if turn else -1
        before = probe(bench, whole.batch, seed=seed) if turn else bench.once(undisturbed)
        mixed = _mixed(whole, before)[:_JUDGED]
        found = _all_unfair(bench, before, mixed, seed)
        if found is not None or not any(each.is_cut for each in mixed):
            return found
    return None


def _all_unfair(bench: Bench, before: Probe, mixed: list[Mixture], seed: int) -> Optional[Unfair]:
    """Return the first mixture if the labels of all have one share that they must not have."""
    first: Optional[_Share] = None
    for each in mixed:
        share = _share(bench, before, each, seed)
        if share is None or not _is_unfair(each, share) or not _close(first or share, share):
            return None
        first = first or share
    return Unfair(mixed[0], first.value) if first else None


def _mixed(whole: Parted, before: Probe) -> list[Mixture]:
    """Return the rows of arguments that are mixed of two rows of the batch."""
    return [
        found
        for index, call in enumerate(before.calls)
        if call.gradient is not None and len(call.gradient) == whole.rows
        for given in plain_tensors(call.arguments).values()
        for image in whole.inputs.values()
        if given.is_floating_point() and given.dtype == image.dtype and given.shape == image.shape
        for row in range(min(whole.rows, _ROWS))
        for found in _mixture_of(index, row, given[row].detach(), image.detach())
    ]


def _mixture_of(
    index: int, row: int, given: torch.Tensor, image: torch.Tensor
) -> Iterator[Mixture]:
    """Give the only other row that a row of the arguments is mixed with."""
    own = image[row]
    if given.numel() < _FEWEST or any(torch.equal(given, each) for each in image):
        return
    others = [other for other in range(len(image)) if not torch.equal(own, image[other])]
    for bounds_of in (_blend, _cut):
        bounds = {other: bounds_of(given, own, image[other]) for other in others}
        fitting = [other for other, each in bounds.items() if each is not None]
        if len(fitting) == 1:
            least, most = bounds[fitting[0]] or (0.0, 0.0)
            yield Mixture(index, row, fitting[0], least, most, bounds_of is _cut)
            return


def _blend(
    given: torch.Tensor, own: torch.Tensor, other: torch.Tensor
) -> Optional[tuple[float, float]]:
    """Return the share of the own row in a sum of two, if that is what is given."""
    step, moved = (own - other).double(), (given - other).double()
    share = float((moved * step).sum() / step.square().sum())
    size = max(float(each.abs().max()) for each in (own, other))
    gap = float((moved - share * step).abs().max())
    fits = 0 < share < 1 and gap <= _ROUNDINGS * torch.finfo(given.dtype).eps * size
    return (share, share) if fits else None


def _cut(
    given: torch.Tensor, own: torch.Tensor, other: torch.Tensor
) -> Optional[tuple[float, float]]:
    """Return the shares that a row may have around a rectangle of another.

    A side of so many pixels may stand for one that is a pixel shorter, or two longer where it was
    halved in whole numbers first.
    """
    if given.dim() < _PICTURE or not bool(((given == own) | (given == other)).all()):
        return None
    channels = given.dim() > _PICTURE
    strange, pasted = (
        (given != own).any(0) if channels else given != own,
        (given == other).all(0) if channels else given == other,
    )
    box, least, most = [], 1.0, 1.0
    for axis, size in enumerate(strange.shape):
        rest = [each for each in range(strange.dim()) if each != axis]
        lines = strange.any(dim=rest).nonzero().flatten()
        box.append(slice(int(lines[0]), int(lines[-1]) + 1))
        side = int(lines[-1] - lines[0]) + 1
        least, most = least * (side - 1) / size, most * min(side + 2, size) / size
    return (1 - most, 1 - least) if bool(pasted[tuple(box)].all()) else None


class _Share(NamedTuple):
    value: float
    error: float


def _share(bench: Bench, before: Probe, mixture: Mixture, seed: int) -> Optional[_Share]:
    """Return the share of the own label, if the loss is a sum over both labels."""
    whole = parted(bench.trainee)
    second = another_row(whole.labels, 0, whole.rows)
    if second is None:
        return None
    pair = (mixture.row, mixture.other)
    slopes, eps = [], 0.0
    for labels in ((0, 0), (second, 0), (0, second)):
        batch = whole.change(rows_from(dict(zip(pair, labels)), whole.rows), labels=True)
        slope = probe(bench, batch, held=before, seed=seed).calls[mixture.call].gradient
        if slope is None or len(slope) != whole.rows:
            return None
        eps = torch.finfo(slope.dtype).eps
        slopes.append(slope[mixture.row].double())
    own, other = slopes[1] - slopes[0], slopes[2] - slopes[0]
    both = own + other
    size = max(float(each.abs().max()) for each in slopes)
    error = _ROUNDINGS * eps * size
    if float(both.abs().max()) <= error:
        return None
    share = float((own * both).sum() / both.square().sum())
    if float((own - share * both).abs().max()) > error:
        return None
    if not error < share < 1 - error:
        return None
    return _Share(share, error * float(both.abs().sum() / both.square().sum()))


def _is_unfair(mixture: Mixture, share: _Share) -> bool:
    if mixture.is_cut:
        return not mixture.least - share.error <= share.value <= mixture.most + share.error
    error = share.error + _ROUNDINGS * torch.finfo(torch.float32).eps
    exchanged = abs(share.value - (1 - mixture.least)) <= error
    return exchanged and abs(share.value - mixture.least) > error


def _close(one: _Share, other: _Share) -> bool:
    return abs(one.value - other.value) <= one.error + other.error
