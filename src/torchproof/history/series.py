"""A metric's values along the main line, in the order of its commits.

The main line is the first parents of a branch's tip: what a branch was, one merge at a time. Each
run of it that may be trusted gives one value; runs of one commit stand in the order in which they
were made. A run whose test passed and left the metric out has the value None; one whose test failed
or was not there has none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from torchproof.errors import HistoryError, UsageError
from torchproof.history.baseline import DEEPEST
from torchproof.history.graph import Graph
from torchproof.history.trust import AGAIN, EVENTS, trusted
from torchproof.record import PASSED


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torchproof.history.graph import Commit
    from torchproof.history.store import History
    from torchproof.record import Metric, Record

MOST_RUNS = 2_000


class Key(NamedTuple):
    """What tells one metric from another."""

    tier: str
    test: str
    name: str


class Place(NamedTuple):
    """The kind of machine a run was made on; values of two kinds do not belong into one series."""

    device: str
    gpu: str
    arch: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run's value; ``time`` is the second at which the commit was made."""

    commit: str
    time: int
    value: float | None
    record: Record


@dataclass(frozen=True, kw_only=True)
class Series:
    """A metric along the main line, oldest first; unit and direction are those of the last run."""

    key: Key
    unit: str
    better: str | None
    points: tuple[Point, ...]

    @property
    def values(self) -> list[float | None]:
        """The values alone."""
        return [point.value for point in self.points]

    @property
    def places(self) -> list[Place]:
        """The kinds of machines, the last run's first."""
        return list(dict.fromkeys(place(point.record) for point in self.points[::-1]))

    def on(self, where: Place) -> Series:
        """Return the runs that were made on one kind of machine."""
        kept = tuple(point for point in self.points if place(point.record) == where)
        return replace(self, points=kept)


@dataclass(frozen=True, kw_only=True)
class MainLine:
    """A branch and its runs.

    Attributes:
        commits: The first parents, oldest first, as far back as there are records.
        records: What may stand for the main line, in the order of its commits.
        again: Commits of it that were run again to find a cause, in the order of the runs.
        graph: Knows the commits.
    """

    commits: tuple[Commit, ...]
    records: tuple[Record, ...]
    again: tuple[Record, ...]
    graph: Graph


def load(history: History, tip: str, *, also: Sequence[str] = ()) -> MainLine:
    """Read the runs of a branch.

    Args:
        history: Where the records are; its remote also knows the commits.
        tip: The branch's last commit as a full id, or a ref of the remote.
        also: Further repositories to look commits up in, such as the user's checkout.

    Raises:
        HistoryError: The history cannot be read, or nobody knows the tip.
    """
    found = _records(history)
    graph = Graph(history.open_repository("graph"), also, history.retry)
    start = graph.add(tip)
    if start is None:
        raise HistoryError(f"the remote does not know {tip:.60}", "Push it, or name another.")
    line = graph.first_parents(start)
    wanted = {record.source.tested for record in found if record.source}
    while not wanted <= {commit.id for commit in line} and graph.depth < DEEPEST:
        if graph.complete or not graph.deepen():
            break
        line = graph.first_parents(start)
    return _ordered(graph, line[::-1], found)


def series(line: MainLine) -> list[Series]:
    """Return every metric of a main line, by tier, test and name."""
    seen: dict[Key, Metric] = {}
    points: dict[Key, list[Point]] = {}
    times = dict(line.commits)
    for record in line.records:
        seen |= {Key(record.tier, each.test, each.name): each for each in record.metrics}
        passed = {each.test for each in record.outcomes if each.outcome in PASSED}
        there = {Key(record.tier, each.test, each.name) for each in record.metrics}
        for key in seen:
            if key in there or (key.tier == record.tier and key.test in passed):
                points.setdefault(key, []).append(_point(record, key, times))
    return [_series(key, seen[key], points[key]) for key in sorted(points)]


def choose(found: Sequence[Series], metric: str, tier: str = "") -> Series:
    """Return the one series that is meant.

    Args:
        found: Those there are.
        metric: Its name, or ``test::name`` where several tests use the name.
        tier: Its tier, where several record it.

    Raises:
        UsageError: There is none, or more than one.
    """
    named = [each for each in found if metric in (each.key.name, spelled(each.key))]
    fitting = [each for each in named if tier in ("", each.key.tier)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        what = f"the history has no metric {metric!r:.200}{f' in the tier {tier}' if tier else ''}"
        raise UsageError(what, _known(metric, named or found))
    tests = list(dict.fromkeys(spelled(each.key) for each in fitting))
    if len(tests) > 1:
        what = f"{len(tests)} tests record the metric {metric!r:.200}"
        raise UsageError(what, f"Name one of them: {', '.join(tests[:8])}.")
    tiers = ", ".join(each.key.tier for each in fitting)
    raise UsageError(f"several tiers record the metric {metric!r:.200}", f"Add --tier: {tiers}.")


def spelled(key: Key) -> str:
    """Write a metric as ``test::name``."""
    return f"{key.test}::{key.name}"


def place(record: Record) -> Place:
    """Return the kind of machine that a record was made on."""
    facts = record.fingerprint.get("hardware", {})
    return Place(*(facts.get(name, "") for name in Place._fields))


def value(record: Record, key: Key, unit: str | None = None) -> float | None:
    """Return a run's value of a metric: the mean of what its test recorded, None for nothing."""
    values = [
        each.value
        for each in record.metrics
        if (each.test, each.name) == (key.test, key.name) and unit in (None, each.unit)
    ]
    if not values:
        return None
    return fmean(values) if all(map(math.isfinite, values)) else math.nan


def _records(history: History) -> list[Record]:
    """Read the newest records of the main line and those run again, oldest first."""
    snapshot = history.snapshot
    entries = [
        entry
        for batch in snapshot.batches()
        for entry in batch.entries
        if entry.name.event in EVENTS or entry.name.event == AGAIN
    ]
    return snapshot.read(entries[:MOST_RUNS][::-1])


def _ordered(graph: Graph, commits: Sequence[Commit], records: Iterable[Record]) -> MainLine:
    position = {commit.id: at for at, commit in enumerate(commits)}
    known = [each for each in records if each.source and each.source.tested in position]
    runs = [each for each in known if each.source and trusted(each.source)]
    runs.sort(key=lambda each: position[each.source.tested] if each.source else 0)
    again = [each for each in known if each.source and each.source.event == AGAIN]
    oldest = min((position[each.source.tested] for each in known if each.source), default=0)
    return MainLine(
        commits=tuple(commits[oldest:]), records=tuple(runs), again=tuple(again), graph=graph
    )


def _point(record: Record, key: Key, times: dict[str, int]) -> Point:
    commit = record.source.tested if record.source else ""
    return Point(commit=commit, time=times[commit], value=value(record, key), record=record)


def _series(key: Key, last: Metric, points: Iterable[Point]) -> Series:
    """Make a series of the runs that use the last one's unit."""
    kept = tuple(
        point
        for point in points
        if point.value is None or value(point.record, key, last.unit) is not None
    )
    return Series(key=key, unit=last.unit, better=last.better, points=kept)


def _known(metric: str, found: Sequence[Series]) -> str:
    import difflib

    close = difflib.get_close_matches(metric, [each.key.name for each in found], n=1)
    if close and close[0] != metric:
        return f"Did you mean {close[0]}?"
    shown = list(dict.fromkeys(f"{each.key.name} ({each.key.tier})" for each in found))[:12]
    return f"It has {', '.join(shown)}." if shown else "It has no record of main yet."
