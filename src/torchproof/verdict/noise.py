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
_PRIOR_PAIRS = 2
_PAIRS = 2
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
        paired: The information has a noise of its own, and ``freedom`` is that of it.
    """

    size: float
    sigma: float
    information: float
    freedom: float
    runs: int
    bound: bool = False
    paired: bool = False


def between(head: Sequence[float], base: Sequence[float], sigma: float | None) -> Shift | None:
    """Estimate the shift between two independent samples; None where they are too few.

    Args:
        head: One value a run, at least one.
        base: Likewise.
        sigma: Of one run, where it is known; None takes it from both sides together (Student).
    """
    middle, spread = median(base), _spread(head, base, sigma)
    head, base = _counted(head, middle, spread), _counted(base, middle, spread)
    freedom = len(head) + len(base) - 2
    if not head or (sigma is None and freedom < 1):
        return None
    (now, around_now), (before, around_before) = _moments(head), _moments(base)
    return Shift(
        size=now - before,
        sigma=math.sqrt((around_now + around_before) / freedom) if sigma is None else sigma,
        information=len(head) * len(base) / (len(head) + len(base)),
        freedom=freedom if sigma is None else math.inf,
        runs=len(head),
        bound=0 < _ALMOST * WIDEST * spread < max(abs(value - middle) for value in head),
    )


def within(head: Sequence[float], base: Sequence[float], sigma: float | None) -> Shift | None:
    """Estimate the shift of pairs of runs that share a seed; None where they are too few.

    What the pairs share cancels. How much that is must be earned: the variance of the differences
    starts as if two pairs without any correlation had been seen, and each pair moves it.

    Args:
        head: One value a run, at least one; ``head[i]`` shares its seed with ``base[i]``.
        base: As many, or more; the surplus helps to estimate sigma.
        sigma: Of one run, where it is known.
    """
    apart = between(head, base, sigma)
    if apart is None or not apart.sigma:
        return apart
    differences = [now - before for now, before in zip(head, base, strict=False)]
    spread = _spread(differences, (), None)
    kept = _counted(differences, median(differences), spread)
    size, around = _moments(kept)
    if len(kept) < _PAIRS:
        return None
    variance = (around + _PRIOR_PAIRS * 2 * apart.sigma * apart.sigma) / (
        len(kept) - 1 + _PRIOR_PAIRS
    )
    return Shift(
        size=size,
        sigma=apart.sigma,
        information=len(kept) * apart.sigma**2 / variance,
        freedom=len(kept) - 1 + _PRIOR_PAIRS,
        runs=len(kept),
        bound=apart.bound,
        paired=True,
    )


def alone(base: Sequence[float]) -> float:
    """Return sigma as one side alone tells it; NaN of fewer than two runs."""
    if len(base) < _PAIRS:
        return math.nan
    counted = _counted(base, median(base), _spread((), base, None))
    return math.sqrt(_moments(counted)[1] / (len(counted) - 1))


def _spread(head: Sequence[float], base: Sequence[float], sigma: float | None) -> float:
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


def _counted(values: Sequence[float], middle: float, spread: float) -> list[float]:
    if not spread:
        return list(values)
    near = [value for value in values if abs(value - middle) <= FAR * spread]
    if len(values) - len(near) <= math.ceil(FEW * len(values)):
        return near
    low, high = middle - WIDEST * spread, middle + WIDEST * spread
    return [min(max(value, low), high) for value in values]


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the sum of squares around it; of equal values exactly that and 0."""
    first = values[0]
    offsets = [value - first for value in values]
    mean = sum(offsets) / len(values)
    return first + mean, sum((offset - mean) * (offset - mean) for offset in offsets)
