"""The half widths of `torchproof.verdict.corridor`, by following a random walk's density.

The log likelihood ratio without a change is a Brownian motion with drift -1/2 and variance 1 per
unit of ``effect**2 * information``. It is followed in steps small against the corridor, with
Siegmund's correction for the leaps, until it has left.
"""

from __future__ import annotations

import numpy as np

from torchproof.verdict.corridor import LEAP, SLOPE


_STEP, _CELLS, _EDGE, _ENOUGH = 0.2, 8, 14.0, 1e-6


def half_width(error: float) -> float:
    """Return the half width at which a walk without a change leaves upwards with this chance."""
    low, high = 0.0, _EDGE - 2
    while high - low > 1e-3:  # noqa: PLR2004 - digits that are used
        middle = (low + high) / 2
        low, high = (middle, high) if _leaves_upwards(middle) > error else (low, middle)
    return (low + high) / 2


def _leaves_upwards(width: float) -> float:
    cell = _STEP / _CELLS
    places = np.arange(-_EDGE, _EDGE + cell / 2, cell)
    density = np.zeros_like(places)
    density[len(places) // 2] = 1.0
    leaps = np.arange(-6 * _CELLS, 6 * _CELLS + 1) * cell
    kernel = np.exp(-0.5 * ((leaps + _STEP**2 / 2) / _STEP) ** 2)
    kernel /= kernel.sum()
    gone, steps = 0.0, 0
    while density.sum() > _ENOUGH:
        steps += 1
        edge = max(width - SLOPE * steps * _STEP**2 - LEAP * _STEP, 0.0)
        density = np.convolve(density, kernel, "same")
        gone += float(density[places >= edge].sum())
        density[np.abs(places) >= edge] = 0.0
    return gone
