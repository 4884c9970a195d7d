"""Which places of a batch are padding, and the batch with less of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.tensors.bits import distinct
from torchproof.proofs.tensors.trees import map_tensors


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAMES = ("attention_mask", "pad", "len")
# What such a mask marks is read by the model or asked by the loss, and is no padding.
_OTHER_MASKS = ("global", "causal", "loss", "prompt", "label")
# The last token, the one before it, and one that is trained to give that.
_LEAST = 3
_PER_POSITION = len(("rows", "positions"))


class Padding(NamedTuple):
    """``name`` is the mask or the lengths in the batch; ``valid`` is (rows, positions).

    ``left``: the padding comes before the content; ``sure``: name or data say that it is padding,
    not only that a model is given it.
    """

    name: str
    valid: torch.Tensor
    left: bool
    sure: bool

    @property
    def lengths(self) -> list[int]:
        """How many places of each row are no padding."""
        counts: list[int] = self.valid.sum(1).tolist()
        return counts

    def content(self, length: int) -> slice:
        """Return the last positions or the first."""
        positions = self.valid.shape[1]
        return slice(positions - length, positions) if self.left else slice(0, length)


def padding(
    batch: Mapping[str, torch.Tensor],
    labels: Mapping[str, torch.Tensor],
    given: Iterable[torch.Tensor],
) -> Optional[Padding]:
    """Find the padding in a batch, by a mask or lengths among its inputs; None if there is none.

    What a mask's two values mean is read from its full rows, which hold no padding. A mask that is
    merely called mask could hide tokens or choose what the loss reads; it counts if all it marks is
    one value at the end of its row, or if a model is given it. Lengths and masks of any other name,
    or of none, count if the data end with them. Of two sequences of one size, each with a mask of
    its own, that is padding which is so in both.

    Args:
        batch: The inputs by name.
        labels: The labels by name.
        given: What the models are called with.
    """
    found = [
        each
        for name in batch
        if (each := _named(name, batch, labels, given)) is not None and not bool(each.valid.all())
    ]
    return _common(found) if found else _shown(batch)


def trimmed(tree: Any, found: Padding, length: int) -> Any:
    """Return a tree of inputs without the padded places outside ``length``.

    Where there are as many rows as positions, the first axis is that of the rows.
    """
    rows, positions = found.valid.shape
    lengths = torch.tensor(found.lengths)
    places = found.content(length)

    def trim(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 1 and torch.equal(tensor.cpu(), lengths.to(tensor.dtype)):
            return tensor.clamp(max=length)
        sizes = list(enumerate(tensor.shape))[int(rows == positions) :]
        axes = [axis for axis, size in sizes if size == positions]
        for axis in axes if _between_positions(tensor, positions) else axes[:1]:
            tensor = tensor.narrow(axis, places.start, length)
        return tensor.detach().clone()

    return map_tensors(tree, trim)


def end_not_asked(found: Padding, tokens: torch.Tensor, asked: torch.Tensor) -> list[int]:
    """Return the rows whose last token no position is asked for, though it is for the one before.

    Args:
        found: Padding behind the content.
        tokens: (rows, positions).
        asked: The positions (rows, positions) at which the loss reads the output, which is trained
            to give the next token.

    Returns:
        All padded rows of three tokens or more, if each of them is so and ends with the token that
        pads it; none otherwise.
    """
    padded = [row for row, length in enumerate(found.lengths) if _LEAST <= length < tokens.shape[1]]
    for row in padded:
        length = found.lengths[row]
        alike = len(distinct(tokens[row, length - 1 :])) == 1
        if not alike or bool(asked[row, length - 2]) or not bool(asked[row, length - 3]):
            return []
    return padded


def ends(data: torch.Tensor, valid: torch.Tensor) -> bool:
    """Tell whether one value fills each row behind its length, and is not the last one before it.

    Data of two values could be a mask of the same, or a number that is written in ones.
    """
    counts = valid.sum(1)
    padded = counts < valid.shape[1]
    several = len(distinct(counts)) > 1 and int(padded.sum()) > 1
    if data.shape[:_PER_POSITION] != valid.shape or not several or not _at_the_end(valid):
        return False
    filling = distinct(data[~valid])
    if len(filling) != 1 or len(distinct(data)) <= len(("off", "on")):
        return False
    last = data[padded, counts[padded] - 1].reshape(int(padded.sum()), -1)
    return bool((last != filling).any(1).all())


def _named(
    name: str,
    batch: Mapping[str, torch.Tensor],
    labels: Mapping[str, torch.Tensor],
    given: Iterable[torch.Tensor],
) -> Optional[Padding]:
    """Read a mask or lengths that have the name of such."""
    valid = _valid(name.lower(), batch[name], batch)
    if valid is None:
        return None
    named = any(known in name.lower() for known in _NAMES)
    sure = named or _constant_behind(valid, name, {**batch, **labels})
    if _at_the_end(valid) and (sure or _is_given(batch[name], given)):
        return Padding(name, valid, left=False, sure=sure)
    if named and _at_the_end(valid.flip(1)):
        return Padding(name, valid, left=True, sure=True)
    return None


def _common(found: list[Padding]) -> Optional[Padding]:
    """Return the first padding, as far as it is padding to all others of its size and side."""
    first = found[0]
    alike = [
        each for each in found if each.left == first.left and each.valid.shape == first.valid.shape
    ]
    valid = torch.stack([each.valid for each in alike]).any(0)
    return None if bool(valid.all()) else first._replace(valid=valid)


def _shown(inputs: Mapping[str, torch.Tensor]) -> Optional[Padding]:
    """Find a mask or lengths of any name with which the rows of another input begin or end."""
    for name, tensor in inputs.items():
        if any(other in name.lower() for other in _OTHER_MASKS):
            continue
        others = [each for other, each in inputs.items() if other != name]
        for valid in _readings(tensor, others):
            if any(ends(each, valid) for each in others):
                return Padding(name, valid, left=False, sure=True)
            begin = [each.flip(1) for each in others if each.dim() > 1]
            if any(ends(each, valid.flip(1)) for each in begin):
                return Padding(name, valid, left=True, sure=True)
    return None


def _readings(tensor: torch.Tensor, others: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Return what is no padding, if a tensor holds lengths, or is a mask of one or the other."""
    if tensor.dim() == _PER_POSITION:
        binary = bool(((tensor == 0) | (tensor == 1)).all())
        return [tensor.bool(), ~tensor.bool()] if binary else []
    if tensor.dim() != 1 or tensor.is_floating_point() or tensor.dtype == torch.bool:
        return []
    rows = [each for each in others if each.dim() > 1 and len(each) == len(tensor)]
    most = sorted({each.shape[1] for each in rows})
    return [torch.arange(each, device=tensor.device) < tensor[:, None] for each in most]


def _between_positions(tensor: torch.Tensor, positions: int) -> bool:
    """Tell whether a tensor's last two axes are positions, as a mask's between them."""
    return tensor.dim() > 1 and tensor.shape[-2:] == (positions, positions)


def _valid(
    name: str, tensor: torch.Tensor, inputs: Mapping[str, torch.Tensor]
) -> Optional[torch.Tensor]:
    if "len" in name and tensor.dim() == 1 and not tensor.is_floating_point():
        return _from_lengths(tensor, inputs)
    binary = tensor.dim() == _PER_POSITION and bool(((tensor == 0) | (tensor == 1)).all())
    if not binary or not ("mask" in name or "pad" in name):
        return None
    if any(other in name for other in _OTHER_MASKS):
        return None
    full = [bool(row[0]) for row in tensor if bool((row == row[0]).all())]
    if full and len(set(full)) == 1:
        return tensor.bool() == full[0]
    return tensor.bool() if "attention_mask" in name else None


def _from_lengths(
    lengths: torch.Tensor, inputs: Mapping[str, torch.Tensor]
) -> Optional[torch.Tensor]:
    longest = int(lengths.max()) if lengths.numel() else 0
    if not longest or int(lengths.min()) < 1:
        return None
    rows = [each for each in inputs.values() if each.dim() > 1 and len(each) == len(lengths)]
    for each in sorted(rows, key=lambda tensor: tensor.shape[1] != longest):
        valid = torch.arange(each.shape[1], device=lengths.device) < lengths[:, None]
        fits = each.shape[1] == longest
        if fits or (each.shape[1] > longest and len(distinct(each[~valid])) == 1):
            return valid
    return None


def _at_the_end(valid: torch.Tensor) -> bool:
    counts = valid.sum(1, keepdim=True)
    ordered = torch.arange(valid.shape[1], device=valid.device) < counts
    return bool((counts > 0).all()) and torch.equal(valid, ordered)


def _constant_behind(valid: torch.Tensor, name: str, inputs: Mapping[str, torch.Tensor]) -> bool:
    others = [
        each
        for other, each in inputs.items()
        if other != name and each.shape[: valid.dim()] == valid.shape
    ]
    return bool(others) and all(len(distinct(each[~valid])) == 1 for each in others)


def _is_given(mask: torch.Tensor, given: Iterable[torch.Tensor]) -> bool:
    """Tell whether a mask is among the tensors, whatever their shape and type, or its opposite."""
    flat = mask.bool().flatten()
    alike = [each.flatten() for each in given if each.numel() == flat.numel()]
    binary = [each.bool() for each in alike if bool(((each == 0) | (each == 1)).all())]
    return any(torch.equal(each, flat) or torch.equal(each, ~flat) for each in binary)
