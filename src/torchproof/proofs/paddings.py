"""Which places of a batch are padding, and the batch with less of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.bits import distinct
from torchproof.proofs.rule import Skip
from torchproof.proofs.trees import map_tensors


if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES = ("attention_mask", "pad", "len")


class Padding(NamedTuple):
    """``name`` is the mask or the lengths in the batch; ``valid`` is (rows, positions)."""

    name: str
    valid: torch.Tensor

    @property
    def lengths(self) -> list[int]:
        """How many places of each row are no padding."""
        counts: list[int] = self.valid.sum(1).tolist()
        return counts


def padding(inputs: Mapping[str, torch.Tensor]) -> Optional[Padding]:
    """Find the padding in a batch's inputs, by a mask or lengths among them; None if there is none.

    What a mask's two values mean is read from its full rows, which hold no padding. A mask that is
    merely called mask could hide tokens or choose what the loss reads; it counts if all it marks is
    one value at the end of its row.
    """
    for name, tensor in inputs.items():
        valid = _valid(name.lower(), tensor, inputs)
        if valid is not None and not bool(valid.all()) and _at_the_end(valid):
            certain = any(known in name.lower() for known in _NAMES)
            if certain or _constant_behind(valid, name, inputs):
                return Padding(name, valid)
    return None


def trimmed(tree: Any, found: Padding, length: int) -> Any:
    """Return a tree of inputs without the places behind ``length``.

    Raises:
        Skip: Rows and positions cannot be told apart.
    """
    rows, positions = found.valid.shape
    if rows == positions:
        raise Skip("there are as many rows as positions")
    lengths = torch.tensor(found.lengths)

    def trim(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 1 and torch.equal(tensor.cpu(), lengths.to(tensor.dtype)):
            return tensor.clamp(max=length)
        axes = [axis for axis, size in enumerate(tensor.shape) if size == positions]
        for axis in axes if _between_positions(tensor, positions) else axes[:1]:
            tensor = tensor.narrow(axis, 0, length)
        return tensor.detach().clone()

    return map_tensors(tree, trim)


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
