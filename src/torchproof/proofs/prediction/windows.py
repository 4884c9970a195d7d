"""Windows that are cut out of the rows of an input, as a random crop does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.tensors.bits import same


if TYPE_CHECKING:
    import torch


def cut_from(cut: torch.Tensor, whole: torch.Tensor) -> bool:
    """Tell whether each row of one tensor is a smaller window of the same row of another.

    Args:
        cut: Of shape (rows, *window).
        whole: Of shape (rows, *size), with as many axes.
    """
    return has_window_size(cut, whole) and all(map(_is_window, cut, whole))


def has_window_size(cut: torch.Tensor, whole: torch.Tensor) -> bool:
    """Tell whether the rows of one tensor could be windows of another's, as `cut_from` asks."""
    if cut.dim() != whole.dim() or cut.dim() < 2 or len(cut) != len(whole):  # noqa: PLR2004 - a row
        return False
    smaller = all(one <= other for one, other in zip(cut.shape, whole.shape))
    return smaller and cut.shape != whole.shape


def _is_window(row: torch.Tensor, whole: torch.Tensor) -> bool:
    if not row.numel():
        return False
    free = tuple(slice(size - length + 1) for size, length in zip(whole.shape, row.shape))
    corners = (whole[free] == row[(0,) * row.dim()]).nonzero().tolist()
    windows = (
        tuple(slice(at, at + length) for at, length in zip(corner, row.shape)) for corner in corners
    )
    return any(same(row, whole[window]) for window in windows)
