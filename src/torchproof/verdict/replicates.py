"""Which stored runs of main show a metric's noise: its independent runs at the present level.

The replicate is a run with randomness of its own. Runs of one seed repeat each other: bit by bit on
a CPU while training stays the same, in part on a GPU. So equal values of one seed count once, and
different ones count separately only where they lie as far apart as those of different seeds do, by
Fisher's ratio of the variance between seeds to that within (one-way analysis of variance, 1925);
else the newest run of each seed stands for it. How much runs of a seed have in common is then what
the variance within seeds leaves of that between the newest runs; as it comes from few, the upper
end of its 95 % interval counts.

What main measured before its last change of level does not count, as main may have moved on
purpose: `detect` looks for steps either way. It takes `LEAST` runs to see one, so fewer say nothing
about the noise.
"""

from __future__ import annotations

import math
from statistics import fmean, variance
from typing import TYPE_CHECKING, Literal, NamedTuple

from torchproof.verdict.change_point import LEAST
from torchproof.verdict.detect import detect


if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LEAST", "Level", "Run", "independent", "level"]

# False alarms per value and direction. By simulation with 50 stored runs, "worse" of a head that
# changed nothing stays below 4 % where main did not move, and is 3 % where main got worse by one
# sigma 25 runs ago; with 0.0005, which seldom sees such a step, that is 10 %.
ALPHA = 0.005
# About the 5 % point of Fisher's ratio for three seeds of seven runs each.
MOST_RATIO = 4.0
_SURE, _LEAST_SHARE = 1.645, 1e-3
_LARGEST = 1e60  # as `compare` has it: no float32 is larger, and squares stay numbers
_DIRECTIONS: tuple[Literal["lower", "higher"], ...] = ("lower", "higher")


class Run(NamedTuple):
    """One stored value and the seed it was measured with."""

    seed: int
    value: float


class Level(NamedTuple):
    """Main as it is now.

    Attributes:
        runs: Those that count, oldest first; one a seed where runs of a seed correlate.
        correlation: Of runs of one seed, at least; 0 where nothing shows any.
    """

    runs: list[Run]
    correlation: float = 0.0


def independent(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that count, oldest first; see `level`."""
    return level(runs).runs


def level(runs: Sequence[Run]) -> Level:
    """Return main's present level.

    Args:
        runs: The stored runs of main, oldest first; those that gave no number are left out.
    """
    finite = [run for run in runs if abs(run.value) < _LARGEST]
    found = _since_the_last_change(_newest_of_each(finite, finite))
    squares = _squares(found)
    if squares is None or squares.between <= MOST_RATIO * squares.within:
        return Level(found)
    newest = _newest_of_each(found, [run.seed for run in found])
    apart = variance(run.value for run in newest)
    return Level(newest, max(0.0, 1 - _at_most(squares) / apart) if apart else 0.0)


def _newest_of_each(runs: Sequence[Run], keys: Sequence[object]) -> list[Run]:
    """Keep the last run of each key, in their order."""
    last = {key: place for place, key in enumerate(keys)}
    return [runs[place] for place in sorted(last.values())]


def _since_the_last_change(runs: list[Run]) -> list[Run]:
    values = [run.value for run in runs]
    changes = [
        point.index
        for better in _DIRECTIONS
        for point in detect(values, better=better, alpha=ALPHA)
    ]
    return runs[max(changes, default=0) :]


class _Squares(NamedTuple):
    """Mean squares between and within seeds, and the degrees of freedom of the latter."""

    between: float
    within: float
    freedom: int


def _squares(runs: Sequence[Run]) -> _Squares | None:
    seeds: dict[int, list[float]] = {}
    for run in runs:
        seeds.setdefault(run.seed, []).append(run.value)
    inside, outside = len(runs) - len(seeds), len(seeds) - 1
    if not inside or not outside:
        return None
    middle = fmean(run.value for run in runs)
    means = {seed: fmean(some) for seed, some in seeds.items()}
    within = sum((run.value - means[run.seed]) ** 2 for run in runs)
    between = sum((means[run.seed] - middle) ** 2 for run in runs)
    return _Squares(between / outside, within / inside, inside)


def _at_most(squares: _Squares) -> float:
    """Return the upper end of the variance within seeds.

    The 5 % point of chi squared is that of Wilson and Hilferty (1931).
    """
    part = 2 / (9 * squares.freedom)
    return squares.within / max(1 - part - _SURE * math.sqrt(part), _LEAST_SHARE) ** 3
