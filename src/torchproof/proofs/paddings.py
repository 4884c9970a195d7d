"""Which places of a batch are padding, and the batch with less of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.bits import distinct
from torchproof.proofs.trees import map_tensors


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAMES = ("attention_mask", "pad", "len")
# What such a mask marks is read by the model or asked by the loss, and is no padding.
_OTHER_MASKS = ("global", "causal", "loss", "prompt", "label")
# The last token, the one before it, and one that is trained to give that.
_LEAST = 3


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
    one value at the end of its row, or if a model is given it.

    Args:
        batch: The inputs by name.
        labels: The labels by name.
        given: What the models are called with.
    """
    for name, tensor in batch.items():
        valid = _valid(name.lower(), tensor, batch)
        if valid is None or bool(valid.all()):
            continue
        named = any(known in name.lower() for known in _NAMES)
        sure = named or _constant_behind(valid, name, {**batch, **labels})
        if _at_the_end(valid) and (sure or _is_given(tensor, given)):
            return Padding(name, valid, left=False, sure=sure)
        if named and _at_the_end(valid.flip(1)):
            return Padding(name, valid, left=True, sure=True)
    return None


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


def _between_positions(tensor: torch.Tensor, positions: int) -> bool:
    """Tell whether a tensor's last two axes are positions, as a mask's between them."""
    return tensor.dim() > 1 and tensor.shape[-2:] == (positions, positions)


def _valid(
    name: str, tensor: torch.Tensor, inputs: Mapping[str, torch.Tensor]
) -> Optional[torch.Tensor]:
    if "len" in name and tensor.dim() == 1 and not tensor.is_floating_point():
        return _from_lengths(tensor, inputs)
    binary = tensor.dim() == len(("rows", "positions")) and bool(
        ((tensor == 0) | (tensor == 1)).all()
    )
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
    shape = (len(lengths), longest)
    fits = any(each.shape[: len(shape)] == shape for each in inputs.values())
    if not fits or int(lengths.min()) < 1:
        return None
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


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
