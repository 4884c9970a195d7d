"""The search for the commit that made a metric worse, over real commits and real runs.

Stored runs of main are the start; further ones come from a *runner*, which trains a commit now and
returns the run's record. One run gives all metrics of its tier, so what has been run is kept and
used by whoever asks next.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from torchproof.errors import UsageError
from torchproof.history.series import place, value
from torchproof.verdict import Blame, blame
from torchproof.verdict.course import last_change
from torchproof.verdict.moved import Moved, moved


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torchproof.history.series import Point, Series
    from torchproof.record import Record

    Runner = Callable[[str, str, int], Record]  # tier, commit, seed

REFERENCE = 40


class NoValue(Exception):  # noqa: N818 - reads as what happened
    """A commit cannot be built, or its run records no such metric."""


class BudgetSpent(Exception):  # noqa: N818 - reads as what happened
    """No further run may be made."""


@dataclass
class Reruns:
    """Runs that were asked for, each with a seed of its own.

    Attributes:
        run: Trains a commit now.
        left: How many runs may still be made.
        seed: Of the next run.
        known: Those of earlier searches, in the order in which they were made.
        new: Those that were made here.
    """

    run: Runner
    left: int
    seed: int
    known: Sequence[Record] = ()
    new: list[Record] = field(default_factory=list)

    def reader(self, series: Series) -> Callable[[str], float]:
        """Return a function that gives a commit's next value: a known one, or that of a new run.

        It raises `NoValue` and `BudgetSpent`.
        """
        where, taken = next(iter(series.places), None), Counter[str]()

        def read(commit: str) -> float:
            there = self._of(series.key.tier, commit)
            usable = [each for each in there if each in self.new or place(each) == where]
            if taken[commit] == len(usable):
                usable.append(self._make(series.key.tier, commit))
            record = usable[taken[commit]]
            taken[commit] += 1
            found = value(record, series.key, series.unit)
            if found is None:
                raise NoValue(record.reason)
            return found

        return read

    def last(self, tier: str, commit: str) -> Record | None:
        """Return the newest run of a commit."""
        return next(reversed(self._of(tier, commit)), None)

    def _of(self, tier: str, commit: str) -> list[Record]:
        runs = (*self.known, *self.new)
        return [each for each in runs if each.tier == tier and _commit(each) == commit]

    def _make(self, tier: str, commit: str) -> Record:
        if self.left <= 0:
            raise BudgetSpent
        self.left -= 1
        self.seed += 1
        made = self.run(tier, commit, self.seed)
        self.new.append(made)
        return made


@dataclass(frozen=True)
class Step:
    """One run of a search: its commit and value (None: no metric), and what is believed now."""

    commit: str
    value: float | None
    belief: Blame[str] | None


@dataclass(frozen=True)
class Culprit:
    """What a search found; ``facts`` differ between then and now, where the code did not."""

    answer: Blame[str]
    cause: Literal["code", "environment", "data", "none"]
    facts: tuple[Moved, ...] = ()


def search(
    commits: Sequence[str],
    series: Series,
    reruns: Reruns,
    *,
    most_runs: int,
    on_step: Callable[[Step], None] = lambda _: None,
) -> Culprit:
    """Find the first worse commit.

    Args:
        commits: The suspects, oldest first, behind the last good commit.
        series: The metric's stored values on the kind of machine that runs now.
        reruns: Trains commits.
        most_runs: Stop after so many.
        on_step: Told of each run.

    Raises:
        UsageError: The good level is not known and the first commit cannot give it, or not in so
            few runs.
    """
    hunt = _Hunt(commits, series, reruns.reader(series), most_runs, on_step)
    answer = hunt.blame(hunt.run, most_runs)
    if answer.cause != "environment":
        return Culprit(answer, answer.cause)
    facts = _moved(commits, series, reruns)
    return Culprit(answer, "data" if _data_alone(facts) else "environment", facts)


def reference(series: Series, commits: Iterable[str]) -> list[float]:
    """Return the last values from before some commits and since the change before them."""
    suspects = {*commits}
    at = next((at for at, p in enumerate(series.points) if p.commit in suspects), None)
    values = [each for each in series.values[:at] if each is not None and math.isfinite(each)]
    better = cast("Literal['lower', 'higher']", series.better)
    return values[last_change(values, better=better) :][-REFERENCE:]


class _Hunt:
    """One search; keeps what was run, so that what was believed can be said at each step."""

    def __init__(
        self,
        commits: Sequence[str],
        series: Series,
        read: Callable[[str], float],
        most_runs: int,
        on_step: Callable[[Step], None],
    ) -> None:
        self.commits, self.series, self.on_step = commits, series, on_step
        self.read, self.most_runs = read, most_runs
        self.stored = _stored(series.points, commits)
        self.history = reference(series, commits)
        self.made: list[tuple[str, float | None]] = []

    def blame(self, run: Callable[[str], float], most_runs: int) -> Blame[str]:
        """Ask for the first worse commit."""
        return blame(
            self.commits,
            self.stored,
            run,
            better=cast("Literal['lower', 'higher']", self.series.better),
            history=self.history,
            most_runs=most_runs,
            skip=(NoValue, BudgetSpent),
        )

    def run(self, commit: str) -> float:
        """Train a commit and tell of it."""
        if self._values() >= self.most_runs:
            raise BudgetSpent
        try:
            found = self.read(commit)
        except NoValue:
            self._tell(commit, None)
            raise
        self._tell(commit, found)
        return found

    def _tell(self, commit: str, found: float | None) -> None:
        self.made.append((commit, found))
        self.on_step(Step(commit, found, self._belief()))

    def _values(self) -> int:
        return sum(found is not None for _, found in self.made)

    def _belief(self) -> Blame[str] | None:
        """Play the same search up to here; None while the good level is not known yet."""
        tape = iter(self.made)

        def again(_: str) -> float:
            entry = next(tape, None)
            if entry is None:
                raise _TapeEnd
            if entry[1] is None:
                raise NoValue
            return entry[1]

        try:
            return self.blame(again, self._values())
        except (_TapeEnd, UsageError):
            return None


class _TapeEnd(Exception):  # noqa: N818 - ends a replay
    """A replay has come to the present."""


def _stored(points: Iterable[Point], commits: Iterable[str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {commit: [] for commit in commits}
    for point in points:
        if point.value is not None and point.commit in found:
            found[point.commit].append(point.value)
    return found


def _moved(commits: Sequence[str], series: Series, reruns: Reruns) -> tuple[Moved, ...]:
    """Compare the oldest commit's run from then with its run from now."""
    then = {point.commit: point.record for point in series.points}
    for commit in commits:
        now = reruns.last(series.key.tier, commit)
        if now is not None and commit in then:
            return moved(then[commit], now)
    return ()


def _data_alone(facts: Iterable[Moved]) -> bool:
    """Say whether data is all that differs, and some that was known then is another one now."""
    differing = list(facts)
    known = any(fact.before for fact in differing)
    return known and all(fact.kind == "data" for fact in differing)


def _commit(record: Record) -> str:
    return record.source.tested if record.source else ""
