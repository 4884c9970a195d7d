"""Weights and inputs that every CPU computes alike: a hash of a name and an index, never a seed.

A random generator's numbers differ between instruction sets, and so do ``linspace`` and ``exp``.
Here a 32-bit integer hash gives 24 bits, which float32 holds exactly, and everything after is a
product with a power of two or a small integer. The matrix of fan-in ``n`` is scaled by the power of
two just below ``sqrt(3 / n)``, so that a deep network neither explodes nor fades.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch


if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 1 << 20
_BITS = 0xFFFFFFFF
_GAINS = ("weight", "scale", "gamma", "var")


def integers(name: str, count: int, start: int = 0) -> torch.Tensor:
    """Return ``count`` hashed integers of 32 bits, as int64; no product leaves 63 bits."""
    seed = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:4], "big")
    mixed = (torch.arange(start, start + count, dtype=torch.int64) * 0x1E3779B1 + seed) & _BITS
    mixed = ((mixed ^ (mixed >> 16)) * 0x7FEB352D) & _BITS
    mixed = ((mixed ^ (mixed >> 15)) * 0x31848BAB) & _BITS
    return mixed ^ (mixed >> 16)


def numbers(name: str, shape: Sequence[int]) -> torch.Tensor:
    """Return float64 numbers from -1 up to but without 1, steps of 2**-23, from a name."""
    count = torch.Size(shape).numel()
    flat = torch.empty(count, dtype=torch.float64)
    for start in range(0, count, _CHUNK):
        part = integers(name, min(_CHUNK, count - start), start)
        flat[start : start + _CHUNK] = (part >> 8).to(torch.float64) / 2**23 - 1
    return flat.reshape(tuple(shape))


def fill(name: str, tensor: torch.Tensor, scale: int = 1) -> None:
    """Fill a weight or a buffer in place with the numbers that its name stands for."""
    if tensor.is_complex():
        fill(name, torch.view_as_real(tensor.resolve_conj()), scale)
        return
    values = numbers(name, tensor.shape)
    if tensor.dim() > 1:
        values *= _spread(tensor.numel() // max(1, tensor.shape[0]))
    elif any(word in name.rpartition(".")[2] for word in _GAINS):
        values = 1 + values / 2  # gains and variances stay away from zero
    else:
        values /= 4
    tensor.copy_(values * scale)


def nudge(tensor: torch.Tensor, by: float) -> None:
    """Move every other element of a tensor by a relative amount, in place."""
    if not tensor.is_contiguous():
        tensor.mul_(1 + by)
        return
    tensor.view(-1)[::2].mul_(1 + by)


def _spread(fan: int) -> float:
    """Return the power of two, at most 1, whose square is nearest to 3 / fan."""
    halvings = 0
    while 6 * 4**halvings < fan:
        halvings += 1
    return float(2.0**-halvings)
