"""Since when has a metric been worse: change points in its history, as they became known.

`detect` looks at stored values alone. Every value is judged with what was known when it arrived, so
a longer history never changes what a shorter one said. Only steps for the worse are alarms; steps
for the better, found at the same limit, start the next reference.

Besides the change-point model there are two hard rules: a run that gave no number is an alarm at
once, and so are two runs in a row more than six sigma out. A single such run is not, because some
projects have one in fifty: `strays` names it, so that it can be run again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Literal, TypeGuard

from torchproof.errors import UsageError
from torchproof.verdict.change_point import LEAST, ChangePoint, Scan, limit, place, size
from torchproof.verdict.robust import location, sigma_of, steps


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torchproof.verdict.change_point import Why

DEFAULT_ALPHA = 0.0015
_FAR = 6.0
_PAUSE = 5
_MEMORY = 120


@dataclass(frozen=True)
class Trigger:
    """What the history says at one value, oriented so that higher is worse.

    Attributes:
        values: Those since the last change.
        where: Their positions in the whole series.
        split: How many of them stand before the step.
        sigma: The noise between runs.
        why: As in `ChangePoint`.
    """

    values: Sequence[float]
    where: Sequence[int]
    split: int
    sigma: float
    why: Why = "shift"


@dataclass(frozen=True)
class Ruling:
    """What a trigger is: a step for the worse, a moved environment or nothing, and where."""

    cause: Literal["code", "environment", "none"]
    split: int = 0


def detect(
    values: Sequence[float | None],
    *,
    better: Literal["lower", "higher"],
    alpha: float | None = None,
) -> list[ChangePoint]:
    """Find the steps for the worse in a metric's history, oldest first.

    Args:
        values: One per commit or run of main, oldest first; None where a run has no value.
        better: Whether ``lower`` or ``higher`` values are better.
        alpha: False alarms per value when nothing changes; 0.0015 if None, one in 670 runs.
    """
    replay = Replay(
        sign=orientation(better),
        alpha=DEFAULT_ALPHA if alpha is None else alpha,
        rule=lambda trigger: Ruling("code", trigger.split),
    )
    return replay.through(values)


def strays(values: Sequence[float | None], *, better: Literal["lower", "higher"]) -> list[int]:
    """Return the single runs more than six sigma worse than those before: run these again."""
    sign, scan, found = orientation(better), Scan(), []
    for position, value in enumerate(values):
        if _is_number(value):
            scan.add(sign * value, position)
            if _far_out(scan.values, 1):
                found.append(position)
    return found


def orientation(better: str) -> int:
    """Return the factor that makes higher values worse."""
    if better not in ("lower", "higher"):
        raise UsageError(f"better is {better!r}", "Give 'lower' or 'higher'.")
    return 1 if better == "lower" else -1


@dataclass
class Replay:
    """Lets the values arrive one by one and asks ``rule`` about every trigger.

    Attributes:
        sign: 1 where lower is better, -1 where higher is.
        alpha: The trigger's rate of false alarms per value.
        rule: Says what a trigger is. After ``none`` to a shift it is not asked for five values.
        strays: Whether a single run far out is a trigger, too.
    """

    sign: int
    alpha: float
    rule: Callable[[Trigger], Ruling]
    strays: bool = False
    _scan: Scan = field(default_factory=Scan)
    _found: list[ChangePoint] = field(default_factory=list)
    _recent: list[float] = field(default_factory=list)
    _quiet_until: int = -1
    _worse_since: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise UsageError(f"alpha is {self.alpha}", "Give a rate such as 0.002.")
        self._limit = limit(self.alpha)
        self._recovery = limit(min(self.alpha, DEFAULT_ALPHA))

    def through(self, values: Sequence[float | None]) -> list[ChangePoint]:
        """Take all values and return the alarms."""
        had_number = True
        for position, value in enumerate(values):
            if _is_number(value):
                self._take(self.sign * value, position)
            elif had_number:
                self._found.append(_gone(value, position))
            had_number = _is_number(value)
        return self._found

    def _take(self, value: float, position: int) -> None:
        self._scan.add(value, position)
        self._recent = [*self._recent[1 - _MEMORY :], value]
        if len(self._scan.values) < LEAST:
            return
        peak = self._scan.peak()
        if peak.down > self._recovery and peak.down > peak.up:
            self._restart(place(self._scan.values, peak.down_split))
            self._worse_since = None
        elif position > self._quiet_until:
            trigger = self._trigger(peak.up, peak.up_split)
            if trigger is not None:
                self._judge(trigger, position)

    def _trigger(self, surprise: float, split: int) -> Trigger | None:
        values = self._scan.values
        if _far_out(values, 2):
            return self._as_trigger(len(values) - 2, "collapse")
        if surprise > self._limit:
            return self._as_trigger(place(values, split), "shift")
        if self.strays and _far_out(values, 1):
            return self._as_trigger(len(values) - 1, "stray")
        return None

    def _as_trigger(self, split: int, why: Why) -> Trigger:
        values, recent = self._scan.values, self._recent
        sigma = sigma_of(steps(recent), median(recent))
        return Trigger(tuple(values), tuple(self._scan.where), split, sigma, why)

    def _judge(self, trigger: Trigger, position: int) -> None:
        ruling = self.rule(trigger)
        if ruling.cause == "none":
            self._quiet_until = position + (_PAUSE if trigger.why == "shift" else 0)
            return
        if ruling.cause == "code":
            index = trigger.where[ruling.split]
            if self._worse_since is None:
                self._worse_since = index
            change = self.sign * size(trigger.values, ruling.split)
            since = self._worse_since
            point = ChangePoint(index, since, change, position, trigger.sigma, trigger.why)
            self._found.append(point)
        self._restart(ruling.split)

    def _restart(self, split: int) -> None:
        self._scan.restart(split)
        self._quiet_until = -1


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _gone(value: float | None, position: int) -> ChangePoint:
    why: Why = "missing" if value is None else "not-finite"
    return ChangePoint(position, position, math.nan, position, why=why)


def _far_out(values: Sequence[float], runs: int) -> bool:
    """Say whether each of the last runs lies more than six sigma above what stands before them."""
    before, last = values[:-runs], values[-runs:]
    if len(before) < LEAST or min(last) <= max(before):
        return False
    middle = median(before)
    sigma = sigma_of([value - middle for value in before], middle)
    return min(last) > location(before, sigma) + _FAR * sigma
