"""Pixels of an image that a step moves to another place than the labels of these pixels.

One pixel of the first row and its label are overwritten by another row's. Where a model's output
has the size of its image, the pixel has to reach the model where its label meets the output.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.pairing import aligned
from torchproof.proofs.prediction.probe import probe, undisturbed
from torchproof.proofs.tensors.bits import elements_that_differ, same
from torchproof.proofs.tensors.trees import map_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.batches import Parted
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call

    Pixel = tuple[int, int]
    Place = tuple[int, int, int]

_IMAGE = len(("rows of the batch", "channels", "lines", "columns"))
# Augmentations flip a coin, and a crop leaves pixels out: some seeds, each with a pixel that stands
# at this share of those that can be told from another row's.
_SHARES = (0.0, 0.5, 0.25, 0.75)
# Two ways of resampling put one pixel into neighbouring places.
_APART = 2


class Displaced(NamedTuple):
    """A pixel in the batch, where a model is given it, and where its label meets the output."""

    pixel: Pixel
    image: Pixel
    label: Pixel


class _Change(NamedTuple):
    """A pixel of the first image and its label, which another row's are to overwrite."""

    image: torch.Tensor
    labels: torch.Tensor
    pixel: Pixel
    other: int


def displaced(bench: Bench) -> Optional[Displaced]:
    """Find a pixel that parts from its label; None if there is none.

    Raises:
        Skip: The step does not run on a batch with other values.
    """
    whole = parted(bench.trainee)
    pairs = list(_dense(whole))
    for turn, share in enumerate(_SHARES if pairs else ()):
        changes = (_change(*pair, share) for pair in pairs)
        found = [_displaced(bench, whole, each, turn) for each in changes if each is not None]
        if any(found):
            return next(filter(None, found))
    return None


def _dense(whole: Parted) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Give the images of the batch with labels for each of their pixels."""
    for labels in whole.labels.values():
        for image in whole.inputs.values():
            sizes = [each.shape[:1] + each.shape[-2:] for each in (image, labels)]
            dense = image.dim() == _IMAGE and labels.dim() >= _IMAGE - 1 and len(image) > 1
            if dense and sizes[0] == sizes[1] and not same(image, labels):
                yield image, labels


def _change(image: torch.Tensor, labels: torch.Tensor, share: float) -> Optional[_Change]:
    """Choose a pixel of the first row that another row has otherwise, with another label."""
    for other in range(1, len(image)):
        one, two = (
            _pixels(elements_that_differ(each[:1], each[[other]])) for each in (image, labels)
        )
        both = (one & two).nonzero()
        if len(both):
            _, line, column = both[int(share * len(both))].tolist()
            return _Change(image, labels, (line, column), other)
    return None


def _displaced(bench: Bench, whole: Parted, change: _Change, turn: int) -> Optional[Displaced]:
    seed = bench.seed + turn if turn else -1
    before = probe(bench, whole.batch, seed=seed) if turn else bench.once(undisturbed)
    after = probe(bench, _overwritten(whole.batch, change), held=before, seed=seed)
    for pair in aligned(before, after):
        label = _label_places(*pair)
        for image in _image_places(*pair) if label else ():
            same_row = bool(image) and image[0][0] == label[0][0]
            if same_row and not any(_near(*each) for each in product(image, label)):
                return Displaced(change.pixel, image[0][1:], label[0][1:])
    return None


def _label_places(before: Call, after: Call) -> list[Place]:
    """Return where the gradient at an output with lines and columns changes."""
    one, other = before.gradient, after.gradient
    if one is None or other is None or one.shape != other.shape or one.dim() < _IMAGE - 1:
        return []
    cube = one.dim() == _IMAGE and len(set(one.shape[1:])) == 1
    if cube and not before.channels_second:
        return []  # the classes may stand in the last axis
    return _places(elements_that_differ(one, other))


def _image_places(before: Call, after: Call) -> Iterator[list[Place]]:
    """Give for each argument of the output's size where it changes."""
    if before.gradient is None:
        return
    given = plain_tensors(after.arguments)
    for name, one in plain_tensors(before.arguments).items():
        other = given.get(name)
        if other is not None and one.dim() == _IMAGE and other.shape == one.shape:
            sizes = [each.shape[:1] + each.shape[-2:] for each in (one, before.gradient)]
            if sizes[0] == sizes[1]:
                yield _places(elements_that_differ(one, other))


def _places(mask: torch.Tensor) -> list[Place]:
    """Return row, line and column of what is marked in any channel."""
    return [(row, line, column) for row, line, column in _pixels(mask).nonzero().tolist()]


def _pixels(mask: torch.Tensor) -> torch.Tensor:
    return mask.reshape(len(mask), -1, *mask.shape[-2:]).any(1)


def _near(one: Place, other: Place) -> bool:
    return all(abs(first - second) < _APART for first, second in zip(one, other))


def _overwritten(batch: Any, change: _Change) -> Any:
    """Return the batch with the pixel of the first row, and its label, from another row."""
    line, column = change.pixel

    def overwrite(tensor: torch.Tensor) -> torch.Tensor:
        if tensor is not change.image and tensor is not change.labels:
            return tensor
        copied = tensor.detach().clone()
        copied[0, ..., line, column] = tensor.detach()[change.other, ..., line, column]
        return copied.requires_grad_(tensor.requires_grad)

    return map_tensors(batch, overwrite)
