"""Which commit made a metric worse, at the least number of runs.

A noisy search on the real value. Every commit may be the first worse one; besides, the environment
may have moved, which makes every commit worse *now* whatever its stored runs say, or nothing may be
worse at all. Their probabilities start from the runs that there are. The next run goes where the
value can be foretold worst: with known levels that is the posterior median (Horstein 1963;
Burnashev and Zigangirov 1974), with an unknown step it first asks for the step's size.
About ``ln n`` over the capacity of the channel between two levels are needed: twelve runs for 64
commits and two sigma, fewer where there are stored ones. Going by the greatest information, by the
greatest chance to end or by the greatest gain of the likeliest answer took no fewer runs in
simulations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from torchproof.errors import UsageError
from torchproof.verdict.detect import orientation
from torchproof.verdict.robust import clip, location, sigma_of, steps, wild_share
from torchproof.verdict.suspects import Suspects


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Commit = TypeVar("Commit")
SURE = 0.93  # the last run mostly takes it further: about 97 % are right
MOST_RUNS = 60
_REFERENCE = 8
_KNOWN = 0.005
_RULED_OUT = 0.02
_FARTHEST = 8.0


@dataclass(frozen=True)
class Blame(Generic[Commit]):
    """The most probable cause.

    Attributes:
        commit: The first worse commit, or None where the cause is not ``code``.
        cause: ``code``; ``environment``: the oldest commit is worse now, too; ``data``: the same,
            and it is good again with the old data; ``none``: nothing is worse.
        probability: Of the commit, or of the cause where there is none.
        runs: Runs that were asked for and gave a result.
        suspects: The fewest commits that together reach the wanted probability, likeliest first.
    """

    commit: Commit | None
    cause: Literal["code", "environment", "data", "none"]
    probability: float
    runs: int
    suspects: tuple[Commit, ...] = ()


def blame(
    commits: Sequence[Commit],
    observed: Mapping[Commit, Sequence[float]],
    run: Callable[[Commit], float],
    *,
    better: Literal["lower", "higher"],
    history: Sequence[float] = (),
    sure: float = SURE,
    most_runs: int = MOST_RUNS,
    skip: type[Exception] | tuple[type[Exception], ...] = (),
    run_old_data: Callable[[Commit], float] | None = None,
) -> Blame[Commit]:
    """Find the first worse commit.

    Args:
        commits: The suspects, oldest first. Put the last good commit in front, with its values
            in ``observed``: a first commit without any cannot be told from the environment.
        observed: Stored values by commit, measured when the commit was new.
        run: Trains a commit now and returns its value; NaN counts as far worse.
        better: Whether ``lower`` or ``higher`` values are better.
        history: Values of main from before the suspects, for level, noise and how often a run is
            wild; eight or more, or the first commit is run until there are.
        sure: Stop at this probability.
        most_runs: Stop after so many runs whatever is known.
        skip: What ``run`` raises for a commit that cannot be built; the search goes around it.
        run_old_data: Trains a commit now with the data of then: tells data from environment.

    Raises:
        UsageError: There is no commit, or the first one cannot give the missing history, or not
            in so few runs.
    """
    if not commits:
        raise UsageError("there is no commit to blame", "Name at least one.")
    sign = orientation(better)
    search = _Search(commits, lambda commit: sign * run(commit), skip, most_runs)
    stored = [[sign * value for value in observed.get(commit, ())] for commit in commits]
    search.start([sign * value for value in history], stored)
    search.until(sure)
    answer = search.answer(sure)
    if answer.cause == "environment" and run_old_data is not None:
        return search.with_old_data(answer, sure, lambda commit: sign * run_old_data(commit))
    return answer


class _Search(Generic[Commit]):
    """The suspects, and the runs that are asked for."""

    def __init__(
        self,
        commits: Sequence[Commit],
        run: Callable[[Commit], float],
        skip: type[Exception] | tuple[type[Exception], ...],
        most_runs: int,
    ) -> None:
        self.commits, self.run, self.skip, self.most_runs = commits, run, skip, most_runs
        self.runs = 0
        self.open = list(range(len(commits)))

    def start(self, history: list[float], stored: list[list[float]]) -> None:
        """Learn the good level and the noise, and take the stored values."""
        history = [value for value in history if math.isfinite(value)]
        missing = _REFERENCE - len(history)
        if missing > self.most_runs:
            raise UsageError(
                f"the good level is not known: it takes {missing} runs of the first commit, and "
                f"{self.most_runs} may be made",
                "Allow for them, or give eight values of main from before.",
            )
        history += [self._reference_run() for _ in range(missing)]
        middle = median(history)
        finite = [list(filter(math.isfinite, values)) for values in stored]
        residuals = [value - middle for value in history]
        residuals += steps([values[0] for values in finite if values])
        residuals += [step for values in finite for step in steps(values)]
        self.sigma = sigma_of(residuals, middle)
        self.level = location(history, self.sigma)
        distances = [[self._distance(value) for value in values] for values in stored]
        wild = wild_share([self._distance(value) for value in history])
        self.suspects = Suspects(distances, len(history), wild=wild)

    def until(self, sure: float) -> None:
        """Run commits until one hypothesis is sure or no run can tell any more."""
        while (
            self.runs < self.most_runs
            and not self._settled(sure)
            and self.suspects.doubt(self.open) > _KNOWN
        ):
            at = self.suspects.most_telling(self.open)
            value = self._value(at)
            if value is None:
                self.open.remove(at)
            else:
                self.suspects.learn(at, self._distance(value))

    def answer(self, sure: float) -> Blame[Commit]:
        """Return the likeliest hypothesis."""
        commits, environment, none = self.suspects.probabilities()
        if environment >= max(sum(commits), none):
            return Blame(None, "environment", environment, self.runs)
        if none >= sum(commits):
            return Blame(None, "none", none, self.runs)
        order = sorted(range(len(commits)), key=lambda at: -commits[at])
        masses = accumulate(commits[at] for at in order)
        needed = sum(mass < sure for mass in masses) + 1
        suspects = tuple(self.commits[at] for at in order[:needed])
        return Blame(suspects[0], "code", commits[order[0]], self.runs, suspects)

    def with_old_data(
        self, answer: Blame[Commit], sure: float, run: Callable[[Commit], float]
    ) -> Blame[Commit]:
        """Run the oldest commit on the old data: good again means that the data moved."""
        oldest, distances, good = self.commits[self.open[0]], [], 0.5
        while max(good, 1 - good) < sure and self.runs < self.most_runs:
            distances.append(self._distance(run(oldest)))
            self.runs += 1
            good = self.suspects.goodness(distances)
        cause: Literal["data", "environment"] = "data" if good > 1 - good else "environment"
        return Blame(None, cause, answer.probability * max(good, 1 - good), self.runs)

    def _settled(self, sure: float) -> bool:
        """Say whether one hypothesis is sure; a commit only where the environment is ruled out."""
        environment = self.suspects.probabilities()[1]
        return self.suspects.surest() >= sure and not _RULED_OUT < environment < sure

    def _value(self, at: int) -> float | None:
        try:
            value = self.run(self.commits[at])
        except self.skip:
            return None
        self.runs += 1
        return value

    def _reference_run(self) -> float:
        value = self._value(0)
        if value is None or not math.isfinite(value):
            raise UsageError(
                "the good level is not known",
                "Give eight values of main from before, or a first commit that trains.",
            )
        return value

    def _distance(self, value: float) -> float:
        distance = (value - self.level) / self.sigma
        return clip(distance, -_FARTHEST, _FARTHEST) if math.isfinite(distance) else _FARTHEST
