"""torchproof detect: since when is a metric worse."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from torchproof import verdict
from torchproof.commands.history import open_history, remote_option
from torchproof.commands.output import as_json, show
from torchproof.errors import UsageError
from torchproof.history import series
from torchproof.report.phrase import count
from torchproof.verdict.course import course
from torchproof.verdict.numbers import spell_apart


if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchproof.history.series import Series
    from torchproof.verdict import ChangePoint

WHY = {
    "collapse": "two runs in a row far out",
    "not-finite": "the run gave no finite number",
    "missing": "the run left the metric out",
}


@click.command()
@click.argument("metric")
@click.option("--tier", default="", help="Where several tiers record the metric.")
@click.option("--branch", default="", help="The branch to follow; the remote's own by default.")
@remote_option
@as_json
def detect(metric: str, tier: str, branch: str, remote: str, *, as_json: bool) -> int:
    """Find since when METRIC is worse on the main line.

    Only its stored runs are looked at. METRIC is a name, or test::name where several tests use the
    name. The exit code is 1 where the metric is worse now, 0 where it never was or is back.
    """
    with open_history(remote) as history:
        tip = branch or history.snapshot.default_branch or "main"
        line = series.load(history, f"refs/heads/{tip}", also=[str(Path.cwd())])
        found = series.choose(series.series(line), metric, tier)
        subjects = {p.commit: line.graph.subject(p.commit) for p in found.points}
    other = len(found.points)
    found = found.on(found.places[0])
    other -= len(found.points)
    better = direction(found)
    points = [
        (point, course(found.values, point.index, better=better))
        for point in verdict.detect(found.values, better=better)
    ]
    document = _document(found, points)
    text = "\n".join([_head(found, tip, other), *_lines(found, points, subjects)])
    show(document, text, as_json=as_json)
    return 1 if _is_worse(points) else 0


def direction(found: Series) -> Literal["lower", "higher"]:
    """Return which values of a metric are better.

    Raises:
        UsageError: The metric names no direction.
    """
    if found.better is None:
        what = f"the metric {found.key.name} names no direction"
        raise UsageError(what, 'Record it with better="lower" or better="higher".')
    return cast("Literal['lower', 'higher']", found.better)


def day(time: int) -> str:
    """Write a commit's day."""
    return datetime.fromtimestamp(time, UTC).date().isoformat()


def _head(found: Series, branch: str, other: int) -> str:
    commits = len({point.commit for point in found.points})
    text = (
        f"{found.key.name} ({found.key.tier}, {found.better} is better):"
        f" {count(len(found.points), 'run')} of {count(commits, 'commit')} on {branch}"
    )
    if not other:
        return text
    verb = "is" if other == 1 else "are"
    return f"{text}; {count(other, 'run')} on other machines {verb} left out"


def _lines(
    found: Series, points: Sequence[tuple[ChangePoint, list[int]]], subjects: dict[str, str]
) -> list[str]:
    if not points:
        return ["no step for the worse"]
    lines = []
    for point, turns in points:
        at = found.points[point.index]
        lines.append(
            f"run {point.index + 1}  {at.commit[:12]}  {day(at.time)}  {_size(found, point)}"
        )
        lines.append(f"        {subjects[at.commit]:.100}".rstrip())
        for turn, again in zip(turns[1:], cycle((False, True)), strict=False):
            word = "worse again" if again else "back"
            lines.append(f"        {word} since run {turn + 1}, {found.points[turn].commit[:12]}")
    return [*lines, f"It is {'worse' if _is_worse(points) else 'not worse'} now."]


def _is_worse(points: Sequence[tuple[ChangePoint, list[int]]]) -> bool:
    """Say whether the last step still holds."""
    return bool(points) and len(points[-1][1]) % 2 == 1


def _size(found: Series, point: ChangePoint) -> str:
    if not math.isfinite(point.size):
        return WHY[point.why]
    before, after = _levels(found, point)
    sizes = f"{abs(point.size) / point.sigma:.1f} sigma" if point.sigma else "any noise"
    why = f", {WHY[point.why]}" if point.why in WHY else ""
    return f"{before} → {after} ({sizes}){why}"


def _levels(found: Series, point: ChangePoint) -> tuple[str, str]:
    """Write the level after the step, and before it as the detection sees it."""
    values = found.values[point.index : point.seen + 1]
    after = [value for value in values if value is not None and math.isfinite(value)]
    level = math.fsum(after) / len(after)
    return spell_apart(level - point.size, level, found.unit)


def _document(found: Series, points: Sequence[tuple[ChangePoint, list[int]]]) -> dict[str, Any]:
    return {
        "metric": found.key.name,
        "test": found.key.test,
        "tier": found.key.tier,
        "better": found.better,
        "runs": len(found.points),
        "worse": _is_worse(points),
        "changes": [
            {
                "index": point.index,
                "commit": found.points[point.index].commit,
                "date": day(found.points[point.index].time),
                "size": point.size if math.isfinite(point.size) else None,
                "sigma": point.sigma if math.isfinite(point.sigma) else None,
                "why": point.why,
                "seen": point.seen,
                "since": point.since,
                "turns": turns[1:],
            }
            for point, turns in points
        ],
    }
