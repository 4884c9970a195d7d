"""An answer as a few numbers: enough to see any change of it, small enough to be committed."""

from __future__ import annotations

import math

import torch

from torchproof.contracts.fill import numbers
from torchproof.contracts.model import Answer


MOST_VALUES = 12
SUMS = 4
_DIGITS = 12


def summary(output: torch.Tensor) -> Answer:
    """Reduce an output to what is remembered of it."""
    dense = output.detach().to_dense() if output.layout != torch.strided else output.detach()
    real = torch.view_as_real(dense.resolve_conj()) if dense.is_complex() else dense
    flat = real.cpu().to(torch.float64).reshape(-1)
    finite = torch.isfinite(flat)
    flat = torch.where(finite, flat, torch.zeros_like(flat))
    count = flat.numel()
    chosen = list(range(count))
    if count > MOST_VALUES:
        chosen = [i * (count - 1) // (MOST_VALUES - 1) for i in range(MOST_VALUES)]
    sums = [weighted_sum(f"sum {i}", flat) for i in range(SUMS if count > MOST_VALUES else 0)]
    return Answer(
        shape=tuple(output.shape),
        largest=_rounded(float(flat.abs().max()) if count else 0.0),
        odd=int((~finite).sum()),
        values=tuple(_rounded(float(flat[i])) for i in chosen),
        sums=tuple(map(_rounded, sums)),
    )


def weighted_sum(name: str, values: torch.Tensor) -> float:
    """Return a sum in which each element has a weight of its own, divided by sqrt(count)."""
    flat = values.reshape(-1)
    total = float((flat * numbers(name, flat.shape)).sum())
    return _rounded(total / math.sqrt(max(1, flat.numel())))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
