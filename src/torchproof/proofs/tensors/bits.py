"""Bit equality: the comparison that needs no tolerance.

Two runs of the same program on the same shapes give the same bits or differ for a reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch


if TYPE_CHECKING:
    from collections.abc import Mapping

# Half of the digits of float64: what rounding leaves is smaller, what differs is larger.
HALF_THE_DIGITS = 2.0**-26


def same(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Tell whether two tensors hold the same values; NaN equals NaN here, and 0 equals -0."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    first, second = _plain(first), _plain(second)
    return torch.equal(first, second) or bool(_equal(first, second).all())


def different(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> list[str]:
    """Name the entries of ``first`` that ``second`` lacks or holds with other values."""
    return [
        name for name, value in first.items() if name not in second or not same(value, second[name])
    ]


def distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the largest absolute difference; inf where shapes differ or one side is not finite."""
    if first.shape != second.shape:
        return float("inf")
    first, second = _plain(first), _plain(second)
    wide = torch.complex128 if first.is_complex() else torch.float64
    gap = (first.to(wide) - second.to(wide)).abs().masked_fill(_equal(first, second), 0.0)
    return (
        float(gap.nan_to_num(nan=float("inf"), posinf=float("inf")).max()) if gap.numel() else 0.0
    )


def elements_that_differ(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return a mask over two tensors of one shape; NaN equals NaN."""
    return ~_equal(_plain(first), _plain(second))


def distinct(tensor: torch.Tensor) -> torch.Tensor:
    """Return the values of a tensor, each once and in order."""
    untyped: Any = tensor
    values: torch.Tensor = untyped.unique()
    return values


def not_finite(state: Mapping[str, torch.Tensor]) -> list[str]:
    """Name the tensors that hold a NaN or an infinity."""
    return [name for name, value in state.items() if not bool(torch.isfinite(_plain(value)).all())]


def _equal(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first == second) | (torch.isnan(first) & torch.isnan(second))


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return the values as a strided tensor of a type that can be compared."""
    tensor = tensor.detach()
    if tensor.is_quantized:
        return tensor.dequantize()
    if tensor.layout != torch.strided:
        return tensor.to_dense()
    if tensor.is_floating_point() and tensor.element_size() == 1:
        return tensor.float()
    return tensor
