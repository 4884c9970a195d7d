"""What becomes of the issue that tells of a regression.

An issue belongs to one metric. It says which commit the metric is worse since, so that one which a
person has closed is opened again for another regression only, and one which was closed because the
metric recovered also when that turns out to be wrong. One commit may make a hundred metrics worse:
no more than `MOST_OPEN` issues stand open at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


MOST_OPEN = 4


@dataclass(frozen=True)
class State:
    """What the history says of a metric now.

    Attributes:
        since: The commit that it is worse since, empty where it is not.
        recovered: The commit at which it was back, empty where nobody can say so.
    """

    since: str = ""
    recovered: str = ""


@dataclass(frozen=True)
class Standing:
    """An issue: its metric, and what its text says of that."""

    number: int
    metric: str
    open: bool
    since: str
    recovered: str


@dataclass(frozen=True)
class Action:
    """What to do about a metric's issue; ``number`` is None where there is none yet."""

    kind: Literal["open", "update", "close", "reopen"]
    metric: str
    number: int | None = None


def decide(now: Mapping[str, State], issues: Sequence[Standing]) -> list[Action]:
    """Say what to do about the issues.

    Args:
        now: What is known of each metric; one that is not named is left alone.
        issues: Those there are, at most one a metric.
    """
    standing = {issue.metric: issue for issue in issues}
    room = MOST_OPEN - sum(issue.open for issue in issues)
    actions = []
    for metric, state in now.items():
        issue = standing.get(metric)
        kind = _kind(state, issue)
        if kind in ("open", "reopen"):
            room -= 1
        if kind and (room >= 0 or kind in ("update", "close")):
            actions.append(Action(kind, metric, issue.number if issue else None))
    return actions


def _kind(
    state: State, issue: Standing | None
) -> Literal["open", "update", "close", "reopen"] | None:
    if state.since and issue is None:
        return "open"
    if state.since and issue and issue.open:
        return "update"
    if state.since and issue and (issue.recovered or issue.since != state.since):
        return "reopen"
    return "close" if not state.since and state.recovered and issue and issue.open else None
