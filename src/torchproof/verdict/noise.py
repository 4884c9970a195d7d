"""Run-to-run noise: which runs count, how far apart runs of one code lie, how far the head is off.

The replicate is the run, never a sample inside one. Values are oriented: a positive shift is worse.
A run further than `FAR` robust sigma from the level of the base is an accident while it is one of
few: it is set aside. Where there are more of them they are a finding and all of them count, drawn
in to `WIDEST` so that their own spread hides nothing. Robust sigma is the standard deviation of the
residuals around each side's median without the largest `TRIMMED` of them, brought to that of a
normal distribution (Tukey 1962, trimming; Huber 1981, §5).

Assumed: runs are independent and all runs of a side have one level. Drift inside a side is taken
for noise, which makes the test slower and not wrong.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist, median
from typing import TYPE_CHECKING, NamedTuple


if TYPE_CHECKING:
    from collections.abc import Sequence

FAR = 4.0
WIDEST = 20.0
TRIMMED = 0.15
FEW = 0.2
_ALMOST = 0.999
_LEAST = 2
_NORMAL = NormalDist()


class Shift(NamedTuple):
    """How far the head lies from the base, and how sure that is.

    Attributes:
        size: Head minus base, in the metric's unit.
        sigma: Run-to-run standard deviation, in the metric's unit.
        information: Of the size, per sigma squared: its variance is sigma squared over this.
        freedom: Degrees of freedom of sigma; infinite where it is known.
        runs: Runs of the head that count.
        bound: A run was drawn in, so that the size is only a bound.
        mixture: Of pairs: the shifts that different correlations would make of the same runs, each
            with the log of how likely its runs are if nothing changed; the rest is their mean.
    """

    size: float
    sigma: float
    information: float
    freedom: float
    runs: int
    bound: bool = False
    mixture: tuple[tuple[float, Shift], ...] = ()


def between(head: Sequence[float], base: Sequence[float], sigma: float | None) -> Shift | None:
    """Estimate the shift between two independent samples; None where they are too few.

    Args:
        head: One value a run, at least one.
        base: Likewise.
        sigma: Of one run, where it is known; None takes it from both sides together (Student).
    """
    middle, wide = median(base), spread(head, base, sigma)
    head, base = _counted(head, middle, wide), _counted(base, middle, wide)
    freedom = len(head) + len(base) - 2
    if not head or (sigma is None and freedom < 1):
        return None
    (now, around_now), (before, around_before) = moments(head), moments(base)
    return Shift(
        size=now - before,
        sigma=math.sqrt((around_now + around_before) / freedom) if sigma is None else sigma,
        information=len(head) * len(base) / (len(head) + len(base)),
        freedom=freedom if sigma is None else math.inf,
        runs=len(head),
        bound=drawn_in(head, middle, wide),
    )


def alone(base: Sequence[float]) -> float:
    """Return sigma as one side alone tells it; NaN of fewer than two runs."""
    if len(base) < _LEAST:
        return math.nan
    kept = _counted(base, median(base), spread((), base, None))
    return math.sqrt(moments(kept)[1] / (len(kept) - 1))


def spread(head: Sequence[float], base: Sequence[float], sigma: float | None) -> float:
    """Return sigma as a few wild runs do not move it; 0 where most residuals are 0."""
    if sigma is not None:
        return sigma
    sizes = sorted(abs(x - median(side)) for side in (head, base) if side for x in side)
    kept = sizes[: len(sizes) - math.ceil(TRIMMED * len(sizes))]
    sides = 2 if head and base else 1
    squares = sum(size * size for size in kept) / max(len(kept) - sides, 1)
    return math.sqrt(squares / _kept_variance(len(kept), len(sizes)))


@lru_cache(maxsize=1024)
def _kept_variance(kept: int, runs: int) -> float:
    """Return the variance of the innermost ``kept`` of ``runs`` standard normal values."""
    share = kept / runs if kept else 0.5
    edge = _NORMAL.inv_cdf((1 + share) / 2)
    return 1 - 2 * edge * _NORMAL.pdf(edge) / share


def _counted(values: Sequence[float], middle: float, wide: float) -> list[float]:
    return [value for value in counted(values, middle, wide) if value is not None]


def counted(
    values: Sequence[float], middle: float, wide: float, far: float = FAR
) -> list[float | None]:
    """Return each value as it counts: as it is, drawn in, or None where it is set aside."""
    if not wide:
        return [*values]
    near = [value if abs(value - middle) <= far * wide else None for value in values]
    if near.count(None) <= math.ceil(FEW * len(values)):
        return near
    low, high = middle - WIDEST * wide, middle + WIDEST * wide
    return [min(max(value, low), high) for value in values]


def drawn_in(values: Sequence[float], middle: float, wide: float) -> bool:
    """Say whether a value that counts was drawn in."""
    return 0 < _ALMOST * WIDEST * wide < max(abs(value - middle) for value in values)


def moments(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the sum of squares around it; of equal values exactly that and 0."""
    first = values[0]
    offsets = [value - first for value in values]
    mean = sum(offsets) / len(values)
    return first + mean, sum((offset - mean) * (offset - mean) for offset in offsets)
