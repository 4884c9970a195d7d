"""The change-point model: where a series most likely changed, and how sure that is.

Hawkins and Deng, A nonparametric change-point control chart, Journal of Quality Technology 42
(2010): after every value, the largest standardised Mann-Whitney statistic over all splits of the
values since the last change. Ranks alone count, so the limits hold for any continuous noise; they
assume that runs are independent. A split more than 16 values back counts 0.85 times: it has been
looked at often already (after Lai's window-limited rules, Journal of the Royal Statistical Society
B 57, 1995), which lowers the limit for the splits that matter. The sums for all splits are carried
along, so that a value costs time in proportion to the window.

``LIMITS`` were simulated (``benchmarks/verdict/detect.py --calibrate``): the share of values that
raise an alarm for the worse when nothing changes, in normal series of 300 runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Literal, NamedTuple

from torchproof.verdict.robust import CLIP, location, scale


if TYPE_CHECKING:
    from collections.abc import Sequence

Why = Literal["shift", "collapse", "stray", "not-finite", "missing"]
WINDOW = 80
LEAST = 8  # with fewer values no split can be surprising
LIMITS = {
    0.03: 1.77,
    0.02: 2.01,
    0.01: 2.37,
    0.005: 2.69,
    0.002: 3.01,
    0.001: 3.19,
    0.0005: 3.37,
}
_NEWS, _OLD_NEWS = 16, 0.85
_REACH = 12
_LEAST_SIDE = 2


@dataclass(frozen=True)
class ChangePoint:
    """One step for the worse.

    Attributes:
        index: The first value at the worse level: the commit to blame.
        since: The first value of the worse time that ``index`` lies in: of steps that follow each
            other without a recovery between them, the first one's index.
        size: Level after minus level before, in the metric's unit; NaN where a run gave no number.
        seen: The value that raised the alarm; nothing after it was used.
        sigma: The noise between runs, in the metric's unit.
        why: ``shift``, ``collapse`` (two runs in a row far out), ``stray`` (one, and confirmed),
            ``not-finite`` or ``missing``.
    """

    index: int
    since: int
    size: float
    seen: int
    sigma: float = math.nan
    why: Why = "shift"


class Peak(NamedTuple):
    """The most surprising splits: how many standard deviations, and values before the split."""

    up: float
    up_split: int
    down: float
    down_split: int


@dataclass
class Scan:
    """The values since the last change, at most ``WINDOW``, and their rank sums.

    ``where`` has each value's position in the whole series. ``_sums[i]`` is the sum over pairs
    across the split behind value i of the sign of (later - earlier).
    """

    values: list[float] = field(default_factory=list)
    where: list[int] = field(default_factory=list)
    _sums: list[int] = field(default_factory=list)

    def add(self, value: float, position: int) -> None:
        """Take the next value and forget the oldest where the window is full."""
        above = 0
        sums, self._sums = [*self._sums, 0], []
        for old, total in zip(self.values, sums, strict=False):
            above += (value > old) - (value < old)
            self._sums.append(total + above)
        self.values.append(value)
        self.where.append(position)
        if len(self.values) > WINDOW:
            self._drop()

    def restart(self, split: int) -> None:
        """Forget what stands before a split."""
        kept = list(zip(self.values[split:], self.where[split:], strict=True))
        self.values, self.where, self._sums = [], [], []
        for value, position in kept:
            self.add(value, position)

    def peak(self) -> Peak:
        """Return the largest statistics upwards and downwards; upwards, old splits count less."""
        n = len(self.values)
        up = down = 0.0
        up_split = down_split = 0
        for before, total in enumerate(self._sums[:-1], start=1):
            surprise = total / math.sqrt(before * (n - before))
            if surprise < down:
                down, down_split = surprise, before
            if n - before > _NEWS:
                surprise *= _OLD_NEWS
            if surprise > up:
                up, up_split = surprise, before
        unit = math.sqrt(3 / (n + 1))
        return Peak(up * unit, up_split, -down * unit, down_split)

    def _drop(self) -> None:
        oldest = self.values.pop(0)
        self.where.pop(0)
        later = sum((value > oldest) - (value < oldest) for value in self.values)
        for i, value in enumerate(self.values[:-1]):
            later -= (value > oldest) - (value < oldest)
            self._sums[i + 1] -= later
        self._sums.pop(0)


def limit(alpha: float) -> float:
    """Return the limit for a rate of false alarms per value, between and beyond ``LIMITS``."""
    known = [(math.log(rate), height) for rate, height in LIMITS.items()]
    wanted = math.log(alpha)
    pairs = list(pairwise(known))
    (x, y), (far_x, far_y) = next((pair for pair in pairs if wanted >= pair[1][0]), pairs[-1])
    return y + (far_y - y) * (wanted - x) / (far_x - x)


def place(values: Sequence[float], split: int) -> int:
    """Return the split near the given one that leaves the least residuals, squared and clipped.

    Ranks say best *that* a series changed; values say better *where* (a least-squares split is the
    maximum-likelihood one of normal noise). Both sides keep at least two values.
    """
    sigma = scale([*_residuals(values[:split]), *_residuals(values[split:])])
    first = max(_LEAST_SIDE, split - _REACH)
    last = min(len(values) - _LEAST_SIDE, split + _REACH)
    splits = range(first, last + 1) or range(split, split + 1)
    return min(splits, key=lambda at: _cost(values[:at], sigma) + _cost(values[at:], sigma))


def _residuals(values: Sequence[float]) -> list[float]:
    middle = median(values)
    return [value - middle for value in values]


def _cost(values: Sequence[float], sigma: float) -> float:
    level, worst = location(values, sigma), (CLIP * sigma) ** 2
    return sum(min((value - level) ** 2, worst) for value in values)


def size(values: Sequence[float], split: int) -> float:
    """Return how much higher the values behind a split lie, by clipped means."""
    before, after = values[:split], values[split:]
    sigma = scale([*_residuals(before), *_residuals(after)])
    return location(after, sigma) - location(before, sigma)
