"""Whether a metric of main is worse now: the history's alarms, put to the test by fresh runs.

Old steps are the level that people live with: only what raised an alarm within the last `RECENT`
runs, or has an open issue, is put to the test. Whatever came before is settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal, cast

from torchproof.stages.bisection import reference
from torchproof.verdict import Trial, confirm
from torchproof.verdict.change_point import LEAST
from torchproof.verdict.course import course, last_change
from torchproof.verdict.robust import sigma_of


if TYPE_CHECKING:
    from collections.abc import Callable

    from torchproof.history.series import MainLine, Series
    from torchproof.verdict.regressions import Standing

RECENT = 30
BEFORE = 5


@dataclass(frozen=True)
class Alarm:
    """A step for the worse that fresh runs confirmed, or a run without a number.

    Attributes:
        index: The first worse value.
        seen: The value that raised it.
        cause: ``environment`` where the commit from before is worse now, too.
        runs: Fresh runs that confirmed it.
        searchable: Whether the commits around it give values.
        confirmed: Whether fresh runs have; one that follows on an earlier alarm is not yet.
    """

    index: int
    seen: int
    cause: Literal["code", "environment"] = "code"
    runs: int = 0
    searchable: bool = True
    confirmed: bool = True


def alarm(
    found: Series, run: Callable[[str], float], standing: Standing | None, *, rate: float
) -> Alarm | None:
    """Return the last step for the worse that is not over.

    Args:
        found: The metric along the main line.
        run: Trains a commit now and returns its value; what it raises ends the test.
        standing: The metric's issue.
        rate: The trigger's rate of false alarms per value.
    """
    old = _settled(found, standing)
    start = last_change(found.values[:old], better=way(found))
    points, trials = confirm(
        found.values[start:],
        lambda at: run(found.points[start + at].commit),
        better=way(found),
        alpha=rate,
        past=[Trial(seen, "none", seen, 0) for seen in range(old - start)],
    )
    runs = {each.seen: each.runs for each in trials}
    alarms = [
        Alarm(
            each.index + start,
            each.seen + start,
            runs=runs.get(each.seen, 0),
            searchable=each.why != "missing",
        )
        for each in points
        if each.seen + start >= old
    ]
    alarms += [
        Alarm(each.index + start, each.seen + start, "environment", each.runs)
        for each in trials
        if each.cause == "environment"
    ]
    last = max(alarms, key=lambda each: each.index, default=None)
    return None if last is None else _now(found, last)


def back(found: Series, since: int) -> int | None:
    """Return the value since which a metric is back, None while it is worse."""
    turns = course(found.values, since, better=way(found))
    return turns[-1] if len(turns) % 2 == 0 else None


def suspects(line: MainLine, found: Series, raised: Alarm) -> list[str]:
    """Return the commits from a good one, well before an alarm, to the one that raised it.

    There are none where the search could not tell: without values, or with too few from before.
    """
    ids = [commit.id for commit in line.commits]
    last = ids.index(found.points[raised.seen].commit)
    for earlier in (BEFORE, 1) if raised.searchable else ():
        first = ids.index(found.points[max(0, raised.index - earlier)].commit)
        commits = ids[first : last + 1]
        if first < last and len(reference(found, commits)) >= LEAST:
            return commits
    return []


def first_of(found: Series, commit: str) -> int | None:
    """Return a commit's first value."""
    return next((at for at, point in enumerate(found.points) if point.commit == commit), None)


def noise(found: Series, index: int) -> float:
    """Return the standard deviation between runs before a value."""
    values = reference(found, [found.points[index].commit])
    if len(values) < LEAST:
        return float("nan")
    middle = median(values)
    return sigma_of([value - middle for value in values], middle)


def way(found: Series) -> Literal["lower", "higher"]:
    """Return which values are better; only of series that say so."""
    return cast("Literal['lower', 'higher']", found.better)


def _now(found: Series, raised: Alarm) -> Alarm | None:
    """Return what holds now: nothing where the metric is back, or where it is worse again."""
    turns = course(found.values, raised.index, better=way(found))
    if len(turns) == 1:
        return raised
    again = Alarm(turns[-1], len(found.points) - 1, confirmed=False)
    return again if len(turns) % 2 == 1 else None


def _settled(found: Series, standing: Standing | None) -> int:
    """Return how many of the first values raise no alarm any more."""
    old = max(0, len(found.points) - RECENT)
    if standing is None or not standing.open:
        return old
    since = first_of(found, standing.since)
    return old if since is None else min(old, since)
