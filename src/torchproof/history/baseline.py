"""The baseline: what a commit is compared with, and the sentence that says why.

It is the merge-base of the tested commit and the base, or the nearest ancestor of it that has
records of the main line (`torchproof.history.trust`). A pull request is tested as its merge commit,
whose merge-base is the base branch's tip: what merging would replace. A push has no base and is
compared with its own ancestors. Where nothing can be found the answer says so and names no commit;
a remote that does not answer is an error.

Record names are read from the history's tree. Archives, whose names lie inside, are read newest
first and only as far back as they can matter: no record is older than the commit it tested.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from torchproof.errors import HistoryError
from torchproof.history.graph import Commit, Graph
from torchproof.history.names import COMMIT_LENGTH
from torchproof.history.trust import EVENTS, trusted


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torchproof.history.snapshot import Entry, Snapshot
    from torchproof.history.store import History
    from torchproof.record import Record

# How far to look for records once the merge-base is known.
DEEPEST = 4_096

_FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CLOCK_SKEW = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What to compare with.

    Attributes:
        commit: The commit; None if there is no baseline.
        records: Its records on the main line, oldest first.
        why: What that commit is, or why there is none; a phrase without a full stop.
        distance: How many commits it lies before the merge-base, or before a push's first parent.
    """

    commit: str | None = None
    records: tuple[Record, ...] = ()
    why: str
    distance: int = 0


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What is asked; ``label`` names the base, ``note`` is said with any answer."""

    tested: str
    base: str | None
    label: str
    note: str = ""


def find(
    history: History,
    *,
    tested: str,
    base: str | None = None,
    branch: str | None = None,
    also: Sequence[str] = (),
) -> Baseline:
    """Find the baseline of a commit.

    Args:
        history: Where the records are; its remote also knows the commits.
        tested: The commit in the workspace, as a full id.
        base: The commit it is to be merged into, as a full id; None for a push or a scheduled run.
        branch: The base branch. Names it in the sentence, and its tip stands in for a ``base`` that
            a force-push has removed.
        also: Further repositories to look commits up in, such as the user's checkout.

    Raises:
        HistoryError: The history or the remote cannot be read, or an id is no full commit id.
    """
    _refuse_short(tested, base)
    label = branch or "the base branch"
    if not any(
        e.name.event in EVENTS for batch in history.snapshot.batches() for e in batch.entries
    ):
        return Baseline(why=f"there is no record yet on {branch or 'the main line'}")
    graph = Graph(history.open_repository("graph"), also, history.retry)
    if graph.add(tested) is None:
        return Baseline(why=f"the remote does not know the tested commit {_short(tested)}")
    question = _Question(tested=tested, base=base, label=label)
    if base is not None and graph.add(base) is None:
        tip = graph.add(f"refs/heads/{branch}") if branch else None
        if tip is None:
            return Baseline(why=f"the remote does not know the base commit {_short(base)}")
        note = f"; the base commit {_short(base)} is gone from the remote, so its tip stands in"
        question = _Question(tested=tested, base=tip, label=label, note=note)
    return _search(graph, history.snapshot, question)


def _search(graph: Graph, snapshot: Snapshot, question: _Question) -> Baseline:
    """Look for records in what is known of the graph, and in more of it until there is an end."""
    while True:
        start = _start(graph, question)
        line = [] if start is None else graph.ancestors(start)
        line = [commit for commit in line if commit.id != question.tested]
        certain = bool(line) and graph.newest_cut() <= line[0].time
        found = _nearest(snapshot, line)
        far = bool(line) and graph.depth >= DEEPEST
        if (found and certain) or graph.complete or far or not graph.deepen():
            break
    if found is None:
        return Baseline(why=_why_none(graph, question, start, line) + question.note)
    commit, records = found
    distance = graph.distance(commit.id, line[0].id)
    why = _why(distance, start, question) + question.note
    return Baseline(commit=commit.id, records=tuple(records), why=why, distance=distance)


def _start(graph: Graph, question: _Question) -> str | None:
    if question.base is None:
        return question.tested
    return graph.merge_base(question.tested, question.base)


def _nearest(snapshot: Snapshot, line: Sequence[Commit]) -> tuple[Commit, list[Record]] | None:
    """Return the first commit of a line that has records of the main line, and all of these."""
    entries: dict[str, list[Entry]] = {}
    found = None
    for batch in snapshot.batches():
        for entry in batch.entries:
            entries.setdefault(entry.name.commit, []).append(entry)
        found = _first(snapshot, line, entries)
        relevant = line[: line.index(found[0]) + 1] if found else line
        if all(batch.since <= _day(commit) for commit in relevant):
            break
    return found


def _first(
    snapshot: Snapshot, line: Sequence[Commit], entries: Mapping[str, Sequence[Entry]]
) -> tuple[Commit, list[Record]] | None:
    for commit in line:
        some = [e for e in entries.get(_short(commit.id), ()) if e.name.event in EVENTS]
        records = [r for r in snapshot.read(some[::-1]) if _is_of(r, commit)]
        if records:
            return commit, records
    return None


def _is_of(record: Record, commit: Commit) -> bool:
    source = record.source
    return source is not None and trusted(source) and source.tested == commit.id


def _why(distance: int, start: str | None, question: _Question) -> str:
    wanted = "its parent" if start == question.tested else f"the merge-base with {question.label}"
    if distance == 0:
        return wanted
    commits = "1 commit" if distance == 1 else f"{distance} commits"
    return f"{commits} before {wanted}, the nearest one with records"


def _why_none(graph: Graph, question: _Question, start: str | None, line: Sequence[Commit]) -> str:
    if start is None and graph.complete:
        return f"the tested commit and {question.label} have no history in common"
    if not graph.complete and graph.depth < DEEPEST:
        return "the checkout is shallow and ends before it; check out with `fetch-depth: 0`"
    if not line:
        return "it is the first commit"
    return f"none of the {len(line)} commits before it has records"


def _day(commit: Commit) -> date:
    return (datetime.fromtimestamp(commit.time, UTC) - _CLOCK_SKEW).date()


def _short(commit: str) -> str:
    return commit[:COMMIT_LENGTH]


def _refuse_short(*commits: str | None) -> None:
    for commit in commits:
        if commit is not None and not _FULL_ID.fullmatch(commit):
            raise HistoryError(f"{commit!r:.60} is no full commit id", "Give all 40 digits.")
