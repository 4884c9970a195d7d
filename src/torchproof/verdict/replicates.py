"""Which stored runs of main show a metric's noise: its independent runs at the present level.

The replicate is a run with randomness of its own. Runs of one seed repeat each other: bit by bit on
a CPU while training stays the same, in part on a GPU. So equal values of one seed count once, and
different ones count separately only where they lie as far apart as those of different seeds do, by
Fisher's ratio of the variance between seeds to that within (one-way analysis of variance, 1925);
else the newest run of each seed stands for it.

What main measured before its last change of level does not count, as main may have moved on
purpose: `detect` looks for steps either way. It takes `LEAST` runs to see one, so fewer say nothing
about the noise.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Literal, NamedTuple

from torchproof.verdict.change_point import LEAST
from torchproof.verdict.detect import detect


if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LEAST", "Run", "independent"]

# False alarms per value and direction. By simulation with 50 stored runs, "worse" of a head that
# changed nothing stays below 4 % where main did not move, and is 3 % where main got worse by one
# sigma 25 runs ago; with 0.0005, which seldom sees such a step, that is 10 %.
ALPHA = 0.005
# About the 5 % point of Fisher's ratio for three seeds of seven runs each.
MOST_RATIO = 4.0
_LARGEST = 1e60  # as `compare` has it: no float32 is larger, and squares stay numbers
_DIRECTIONS: tuple[Literal["lower", "higher"], ...] = ("lower", "higher")


class Run(NamedTuple):
    """One stored value and the seed it was measured with."""

    seed: int
    value: float


def independent(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that count, oldest first.

    Args:
        runs: The stored runs of main, oldest first; those that gave no number are left out.
    """
    finite = [run for run in runs if abs(run.value) < _LARGEST]
    level = _since_the_last_change(_newest_of_each(finite, finite))
    if not _repeat_each_other(level):
        return level
    return _newest_of_each(level, [run.seed for run in level])


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


def _repeat_each_other(runs: Sequence[Run]) -> bool:
    """Say whether runs of one seed lie closer together than runs of different seeds."""
    seeds: dict[int, list[float]] = {}
    for run in runs:
        seeds.setdefault(run.seed, []).append(run.value)
    inside, outside = len(runs) - len(seeds), len(seeds) - 1
    if not inside or not outside:
        return False
    middle = fmean(run.value for run in runs)
    means = {seed: fmean(some) for seed, some in seeds.items()}
    within = sum((run.value - means[run.seed]) ** 2 for run in runs)
    between = sum((means[run.seed] - middle) ** 2 for run in runs)
    return between / outside > MOST_RATIO * within / inside
