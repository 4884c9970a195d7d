"""Location, scale and density that a few wild runs do not move.

Scale: 1.4826 times the median absolute deviation first, then the standard deviation of what is
clipped at three of these (Huber, Robust Statistics, 1981): for normal values unbiased to a percent
and twice as exact as the deviation alone. Density: Tukey's contaminated normal, a normal core with
a share of wild runs of five times its width, so that no single run can carry a decision.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean, median
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CLIP = 3.0
_MAD_TO_SD = 1.4826
_CLIPPED_TO_SD = 1.0135
WILD = 0.05
_WILD_SHARES, _WILD_SCALE = (0.002, 0.01, 0.05, 0.15), 5.0
_SMALLEST = 1e-9


def clip(value: float, low: float, high: float) -> float:
    """Return the value, moved to the nearer limit where it lies outside."""
    return max(low, min(high, value))


def location(values: Sequence[float], sigma: float) -> float:
    """Return the median plus the mean of the residuals clipped at three sigma."""
    middle = median(values)
    limit = CLIP * sigma
    return middle + fmean(clip(value - middle, -limit, limit) for value in values)


def scale(residuals: Sequence[float]) -> float:
    """Return the standard deviation of residuals around 0; 0 where more than half of them are."""
    limit = CLIP * _MAD_TO_SD * median(abs(value) for value in residuals)
    return _CLIPPED_TO_SD * math.sqrt(fmean(clip(value, -limit, limit) ** 2 for value in residuals))


def steps(values: Sequence[float]) -> list[float]:
    """Return the differences of neighbours over √2: residuals that no change of level touches."""
    return [(after - before) / math.sqrt(2) for before, after in pairwise(values)]


def sigma_of(residuals: Sequence[float], level: float) -> float:
    """Return the scale, or of runs that repeat exactly a billionth of the level."""
    return max(scale(residuals), _SMALLEST * abs(level), math.ulp(0.0) / _SMALLEST)


def log_density(distance: float, wild: float = WILD) -> float:
    """Return the log density, up to a constant, of a run so many sigma from its level.

    Args:
        distance: In sigma.
        wild: The share of wild runs.
    """
    core = math.exp(-0.5 * distance * distance)
    far = math.exp(-0.5 * (distance / _WILD_SCALE) ** 2) / _WILD_SCALE
    return math.log((1 - wild) * core + wild * far)


def log_sum(logs: Iterable[float]) -> float:
    """Return the log of the sum of what these are the logs of, at least one."""
    found = [*logs]
    top = max(found)
    return top + math.log(sum(math.exp(each - top) for each in found))


def wild_share(distances: Sequence[float]) -> float:
    """Return the share of wild runs that runs of one level tell of: about `WILD` from a few.

    The posterior mean over four shares that are equally likely before.
    """
    logs = [sum(log_density(each, share) for each in distances) for share in _WILD_SHARES]
    weights = [math.exp(each - max(logs)) for each in logs]
    total = sum(w * share for w, share in zip(weights, _WILD_SHARES, strict=True))
    return total / sum(weights)
