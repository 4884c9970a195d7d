"""What may have made a metric worse, and how probable each cause is.

Distances are in sigma from the good level, positive is worse. Neither that level nor the step's
size is known for sure: both run over a small grid, the level within the error of its mean, the step
from half a sigma to five with most weight around two, the size at which searches are asked for.
Noise is Tukey's contaminated normal (see `robust`), independent between runs, so that every
likelihood is a product over runs. Which commit is the first worse one has the same probability for
all of them before any run is seen.
"""

from __future__ import annotations

import math
from itertools import accumulate, product
from typing import TYPE_CHECKING

from torchproof.verdict.robust import WILD, log_density, log_sum


if TYPE_CHECKING:
    from collections.abc import Sequence

_OFFSETS = (-1.6, -0.8, 0.0, 0.8, 1.6)
_STEPS = {0.5: 0.01, 0.75: 0.03, 1.0: 0.08, 1.5: 0.22, 2.0: 0.3, 2.5: 0.22, 3.5: 0.1, 5.0: 0.04}
_ENVIRONMENT, _NONE = 0.05, 0.02
_FOREIGN = 0.001
_NEGLIGIBLE = 1e-9


class Suspects:
    """The probability of every commit to be the first worse one, of the environment and of nothing.

    Args:
        stored: The distances of each commit's stored runs, oldest commit first.
        reference: How many runs the good level was estimated from.
        foreign: Whether causes other than a commit get a fair share, or nearly none because a test
            has ruled them out.
        wild: The share of wild runs.
    """

    def __init__(
        self,
        stored: Sequence[Sequence[float]],
        reference: int,
        *,
        foreign: bool = True,
        wild: float = WILD,
    ) -> None:
        self._wild = wild
        environment, none = (_ENVIRONMENT, _NONE) if foreign else (_FOREIGN, _FOREIGN)
        share = (1 - environment - none) / len(stored)
        error = 1 / math.sqrt(reference)
        self._grid = [(offset * error, step) for offset, step in product(_OFFSETS, _STEPS)]
        self._first: list[list[float]] = []
        self._moved: list[float] = []
        self._none: list[float] = []
        for (level, step), (offset, size) in zip(
            self._grid, product(_OFFSETS, _STEPS), strict=True
        ):
            prior = math.log(_STEPS[size]) - offset * offset / 2
            good = self._sums(stored, level)
            bad = self._sums(stored, level + step)
            split = [prior + good[at] + bad[-1] - bad[at] for at in range(len(good))]
            self._first.append([value + math.log(share) for value in split[:-1]])
            self._moved.append(log_sum(split) + math.log(environment / len(split)))
            self._none.append(prior + good[-1] + math.log(none))
        self._weigh()

    def learn(self, at: int, distance: float) -> None:
        """Take a run that was made now."""
        for i, (level, step) in enumerate(self._grid):
            good, bad = self._log(distance - level), self._log(distance - level - step)
            row = self._first[i]
            worse, not_yet = row[: at + 1], row[at + 1 :]
            self._first[i] = [value + bad for value in worse] + [value + good for value in not_yet]
            self._moved[i] += bad
            self._none[i] += good
        self._weigh()

    def probabilities(self) -> tuple[list[float], float, float]:
        """Return the probability of each commit, of the environment and of nothing being worse."""
        columns = [sum(column) / self._total for column in zip(*self._first_weights, strict=True)]
        return (
            columns,
            sum(self._moved_weights) / self._total,
            sum(self._none_weights) / self._total,
        )

    def surest(self, within: int = 0) -> float:
        """Return the largest probability, of a commit with its neighbours so far to either side."""
        commits, environment, none = self.probabilities()
        best = max(range(len(commits)), key=commits.__getitem__)
        return max(sum(commits[max(0, best - within) : best + within + 1]), environment, none)

    def most_telling(self, candidates: Sequence[int]) -> int:
        """Return the commit whose value, if it were run now, varies most over the hypotheses."""
        count = len(self._first[0])
        mean, square, base, base_square = [0.0] * count, [0.0] * count, 0.0, 0.0
        for i, (level, step) in enumerate(self._grid):
            row, moved = self._first_weights[i], self._moved_weights[i]
            total = sum(row) + moved + self._none_weights[i]
            if total < _NEGLIGIBLE * self._total:
                continue
            base += level * total
            base_square += level * level * total
            rise = step * step + 2 * level * step
            for at, weight in enumerate(accumulate(row)):
                mean[at] += (weight + moved) * step
                square[at] += (weight + moved) * rise
        return max(
            candidates,
            key=lambda at: (
                (base_square + square[at]) / self._total - ((base + mean[at]) / self._total) ** 2
            ),
        )

    def doubt(self, candidates: Sequence[int]) -> float:
        """Return how open it is whether a commit is worse now, at most: 0 sure, 0.5 a coin."""
        commits, environment, _ = self.probabilities()
        worse = [environment + before for before in accumulate(commits)]
        return max((min(worse[at], 1 - worse[at]) for at in candidates), default=0.0)

    def goodness(self, distances: Sequence[float]) -> float:
        """Return the probability that runs are at the good level rather than the worse one."""
        good = bad = 0.0
        for weight, (level, step) in zip(self._moved_weights, self._grid, strict=True):
            good += weight * math.exp(sum(self._log(each - level) for each in distances))
            bad += weight * math.exp(sum(self._log(each - level - step) for each in distances))
        return good / (good + bad)

    def _weigh(self) -> None:
        top = max(*map(max, self._first), *self._moved, *self._none)
        self._first_weights = [[math.exp(value - top) for value in row] for row in self._first]
        self._moved_weights = [math.exp(value - top) for value in self._moved]
        self._none_weights = [math.exp(value - top) for value in self._none]
        rows = sum(map(sum, self._first_weights))
        self._total = rows + sum(self._moved_weights) + sum(self._none_weights)

    def _sums(self, stored: Sequence[Sequence[float]], level: float) -> list[float]:
        """Return the log likelihood of the first 0, 1, 2 … commits' runs at a level."""
        each = (sum(self._log(distance - level) for distance in runs) for runs in stored)
        return list(accumulate(each, initial=0.0))

    def _log(self, distance: float) -> float:
        return log_density(distance, self._wild)
