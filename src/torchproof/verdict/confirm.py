"""Detection with confirmation: run again before an alarm is raised.

A touchy trigger on the history, then a sequential test of the head against a commit from before the
step, both trained now, in turns. A history that was chosen because it looked bad proves nothing,
fresh runs do; and what moved with the environment is worse in both. The test is Whitehead's
triangular one (The Design and Analysis of Sequential Clinical Trials, 1997, with Siegmund's
correction for leaps) for a step of one sigma, runs clipped at three; it may end early with "not
worse" when stored runs from before the step say so, too. Last, the search of `blame` names the
commit, with a few more runs where two to either side are not sure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from torchproof.verdict.detect import Replay, Ruling, Trigger, orientation
from torchproof.verdict.robust import CLIP, clip, location
from torchproof.verdict.suspects import Suspects


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torchproof.verdict.change_point import ChangePoint

Cause = Literal["code", "environment", "none"]
TRIGGER_ALPHA = 0.01
_ALPHA, _BETA, _EFFECT = 0.015, 0.02, 1.0
_MOST_PAIRS = 50
_BEFORE = 5
_STORED = 40
_MOVED = 3.0
_LEAP = 0.583
_LOOK_BACK, _LEAST_HISTORY = 8, 4
_NEAR, _NEAR_SURE, _MOST_MORE = 2, 0.75, 12
_WORST = 4.5


@dataclass(frozen=True)
class Trial:
    """A trigger that was put to the test.

    Attributes:
        seen: The value that triggered: the head at that time.
        cause: ``code``: an alarm; ``environment``: the older commit is worse now, too; ``none``.
        index: The first worse value, as far as is known.
        runs: Training runs spent.
    """

    seen: int
    cause: Cause
    index: int
    runs: int


def confirm(
    values: Sequence[float | None],
    run: Callable[[int], float],
    *,
    better: Literal["lower", "higher"],
    alpha: float = TRIGGER_ALPHA,
    past: Sequence[Trial] = (),
) -> tuple[list[ChangePoint], list[Trial]]:
    """Find the steps for the worse that fresh runs confirm.

    Args:
        values: As for `detect`.
        run: Trains the commit of ``values[index]`` now and returns its value.
        better: Whether ``lower`` or ``higher`` values are better.
        alpha: The trigger's rate per value; the price in runs is nearly proportional to it.
        past: Trials of earlier calls with fewer values; they are not run again.

    Returns:
        The alarms and all trials, past ones included, oldest first. Keep the trials for the next
        call.
    """
    known = {trial.seen: trial for trial in past}
    trials: list[Trial] = []
    sign = orientation(better)

    def rule(trigger: Trigger) -> Ruling:
        trial = known.get(trigger.where[-1])
        if trial is None:
            trial = _try(trigger, lambda index: sign * run(index))
        trials.append(trial)
        return Ruling(trial.cause, _split(trigger, trial))

    replay = Replay(sign=sign, alpha=alpha, rule=rule, strays=True)
    return replay.through(values), trials


def _split(trigger: Trigger, trial: Trial) -> int:
    inside = trial.index in trigger.where
    return trigger.where.index(trial.index) if inside else trigger.split


def _try(trigger: Trigger, run: Callable[[int], float]) -> Trial:
    """Put a trigger to the test."""
    bench = _Bench(trigger, run)
    if trigger.why == "stray" and not bench.repeats():
        return bench.trial("none", trigger.split)
    if bench.is_worse():
        return bench.trial("code", bench.narrowed())
    return bench.trial("environment" if bench.has_moved() else "none", trigger.split)


class _Bench:
    """Fresh runs of the head and of a commit from before the step, in sigma from the old level."""

    def __init__(self, trigger: Trigger, run: Callable[[int], float]) -> None:
        self.trigger = trigger
        self.sigma = trigger.sigma
        self.base = max(0, trigger.split - _BEFORE)
        stored = trigger.values[: max(1, self.base + 1)][-_STORED:]
        self.level = location(stored, self.sigma)
        self.stored = len(stored) if len(stored) >= _LEAST_HISTORY else 0
        self.runs = 0
        self._run = run
        self.head_runs: list[float] = []
        self.base_runs: list[float] = []

    def trial(self, cause: Cause, split: int) -> Trial:
        """Say what came out."""
        where = self.trigger.where
        return Trial(where[-1], cause, where[split], self.runs)

    def repeats(self) -> bool:
        """Run the head once more and say whether it lies out again."""
        self.head_runs.append(self._distance(len(self.trigger.values) - 1))
        return self.head_runs[-1] > CLIP

    def is_worse(self) -> bool:
        """Run base and head in turns until the triangular test ends."""
        for _ in range(_MOST_PAIRS):
            self.base_runs.append(self._distance(self.base))
            self.head_runs.append(self._distance(len(self.trigger.values) - 1))
            decision = self._decision()
            if decision is not None:
                return decision
        return False

    def has_moved(self) -> bool:
        """Say whether the base itself is worse now than its stored runs."""
        runs = len(self.base_runs)
        if not (runs and self.stored):
            return False
        return fmean(self.base_runs) > _MOVED * math.sqrt(1 / runs + 1 / self.stored)

    def narrowed(self) -> int:
        """Return the split to blame, after more runs where its neighbourhood is not sure."""
        values = self.trigger.values
        first = min(self.trigger.split, max(_LEAST_HISTORY, self.trigger.split - _LOOK_BACK))
        stored = [[self._clipped(value)] for value in values[first:]]
        stored[-1] += self.head_runs
        if self.base >= first:
            stored[self.base - first] += self.base_runs
        suspects = Suspects(stored, first + len(self.base_runs), foreign=False)
        everyone = range(len(stored))
        most = self.runs + _MOST_MORE
        while suspects.surest(_NEAR) < _NEAR_SURE and self.runs < most:
            at = suspects.most_telling(everyone)
            suspects.learn(at, self._distance(first + at))
        commits = suspects.probabilities()[0]
        return first + max(everyone, key=commits.__getitem__)

    def _decision(self) -> bool | None:
        pairs = len(self.base_runs)
        head, base = fmean(self.head_runs), fmean(self.base_runs)
        information, leap = pairs / 2, _LEAP * math.sqrt(0.5)
        score = information * (head - base)
        if score >= _half_width(_ALPHA) + _EFFECT / 4 * information - leap:
            return True
        if score <= -_half_width(_ALPHA) + 3 * _EFFECT / 4 * information + leap:
            return False
        if self.stored:
            information = 1 / (1 / pairs + 1 / (pairs + self.stored))
            score = information * (head - pairs * base / (pairs + self.stored))
            if score <= -_half_width(_BETA) + 3 * _EFFECT / 4 * information:
                return False
        return None

    def _distance(self, at: int) -> float:
        self.runs += 1
        return self._clipped(self._run(self.trigger.where[at]))

    def _clipped(self, value: float) -> float:
        distance = (value - self.level) / self.sigma
        return clip(distance, -CLIP, _WORST) if math.isfinite(distance) else _WORST


def _half_width(error: float) -> float:
    """Return half the triangle's base, for the effect in sigma and both errors alike."""
    return 2 / _EFFECT * math.log(1 / (2 * error))
