"""Synthetic histories with known steps, and how alarms about them are scored.

Level 100, noise 2: 30, 100 or 300 commits with 1, 2 or 5 steps for the worse of the same size, each
fixed later; good and bad times are equally long up to a quarter.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

NOISES = ("gauss", "t3", "spikes")
SIZES = (0.5, 1.0, 2.0, 3.0)
STEPS = {30: 1, 100: 2, 300: 5}
SIGMA = 2.0
HORIZON, MARGIN = 15, 2
_CORRELATION, _DRIFT = 0.3, 0.01
_SPIKES = 0.02


@dataclass(frozen=True)
class Series:
    """One history; ``levels`` and ``values`` in the metric's unit, ``steps`` for the worse."""

    noise: str
    size: float
    values: list[float]
    levels: list[float]
    steps: list[int]


class Alarm(NamedTuple):
    """When an alarm was raised and which commit it blames."""

    seen: int
    blamed: int


@dataclass
class Score:
    """Counts over many series; ``late`` alarms are true but not within the horizon."""

    commits: int = 0
    steps: int = 0
    found: int = 0
    false: int = 0
    late: int = 0
    strict_found: int = 0
    strict_false: int = 0
    delay: int = 0
    runs: int = 0

    def add(self, series: Series, alarms: Iterable[Alarm], runs: int = 0) -> None:
        """Count one series. An alarm counts for the last step at most 15 commits before it."""
        self.commits += len(series.values)
        self.steps += len(series.steps)
        self.runs += runs
        seen: set[int] = set()
        strict: set[int] = set()
        for alarm in sorted(alarms):
            step = max((s for s in series.steps if 0 <= alarm.seen - s <= HORIZON), default=None)
            if step is None:
                self.false += 1
                self.strict_false += 1
                self.late += series.levels[alarm.seen] > min(series.levels)
                continue
            self.delay += (alarm.seen - step) * (step not in seen)
            near = abs(alarm.blamed - step) <= MARGIN
            self.strict_false += not near and step not in strict
            seen.add(step)
            if near:
                strict.add(step)
        self.found += len(seen)
        self.strict_found += len(strict)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.found / max(1, self.found + self.false + self.steps)

    @property
    def strict_f1(self) -> float:
        """The same, where only alarms that blame within two commits have found a step."""
        return 2 * self.strict_found / max(1, self.strict_found + self.strict_false + self.steps)

    def per_hundred(self, count: int) -> float:
        """Return a count per 100 commits."""
        return 100 * count / max(1, self.commits)


def suite(
    repetitions: int, seed: int, noises: Sequence[str] = NOISES, sizes: Sequence[float] = SIZES
) -> list[Series]:
    """Return so many series of each length, size and noise; size 0 has no step at all."""
    source = np.random.default_rng(seed)
    cases = product(range(repetitions), STEPS, sizes, noises)
    return [_series(source, length, size, noise) for _, length, size, noise in cases]


def draw(source: np.random.Generator, noise: str, count: int) -> NDArray[np.float64]:
    """Return noise of standard deviation 1 (spikes come on top: 2 % at 8 sigma, either way)."""
    if noise == "t3":
        return np.asarray(source.standard_t(3, count) / np.sqrt(3))
    values = source.standard_normal(count)
    if noise == "spikes":
        values += 8 * (source.random(count) < _SPIKES) * source.choice((-1, 1), count)
    if noise == "autocorrelated":
        for i in range(1, count):
            fresh = np.sqrt(1 - _CORRELATION**2) * values[i]
            values[i] = _CORRELATION * values[i - 1] + fresh
    return values


def _series(source: np.random.Generator, length: int, size: float, noise: str) -> Series:
    levels = np.zeros(length)
    cuts = _cuts(source, length, 2 * STEPS[length]) if size else []
    for start, end in zip(cuts[::2], cuts[1::2], strict=True):
        levels[start:end] = size
    if noise == "drift":
        levels += _DRIFT * np.arange(length)
    values = 100 + SIGMA * (levels + draw(source, noise, length))
    return Series(noise, size, values.tolist(), (100 + SIGMA * levels).tolist(), cuts[::2])


def _cuts(source: np.random.Generator, length: int, count: int) -> list[int]:
    part = length / (count + 1)
    return [round(part * (i + 1 + source.uniform(-0.25, 0.25))) for i in range(count)]
