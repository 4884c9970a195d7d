"""The stored runs of main that show how far apart its runs lie: of a commit and its first parents.

Reading is bounded and goes from the newest run backwards: at most `SEEDS` different seeds and
`MOST` runs a tier, of commits at most some hundreds away. The caller says which runs are alike,
since those of another GPU say nothing about this one's noise.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from torchproof.history.graph import Graph
from torchproof.history.names import COMMIT_LENGTH
from torchproof.history.trust import EVENTS, trusted


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from torchproof.history.graph import Commit
    from torchproof.history.snapshot import Entry
    from torchproof.history.store import History
    from torchproof.record import Record

SEEDS = 50
MOST = 200
_DEPTH = 256
_STEP = 50
_CLOCK_SKEW = timedelta(days=1)


def stored_runs(
    history: History,
    *,
    commit: str,
    tiers: Collection[str],
    alike: Callable[[Record], bool] = lambda _: True,
) -> list[Record]:
    """Return runs of main, oldest commit first and in the order of the runs within each.

    Args:
        history: Where the records are.
        commit: The newest commit whose runs count, as a full id.
        tiers: Of which tiers.
        alike: Says whether a run's numbers can be compared.

    Raises:
        HistoryError: The history or the remote cannot be read.
    """
    line = _line(history, commit)
    places = {each.id: place for place, each in enumerate(line)}
    found = [
        record
        for tier in tiers
        for record in _newest(history, tier, line, lambda r: _counts(r, places) and alike(r))
    ]
    found.reverse()
    return sorted(found, key=lambda record: -_place(record, places))


def _line(history: History, commit: str) -> Sequence[Commit]:
    """Return the commit and its first parents as far as they can matter."""
    graph = Graph(history.open_repository("line"), (), history.retry)
    if graph.add(commit) is None:
        return ()
    while graph.depth < _DEPTH and not graph.complete and graph.deepen():
        pass
    return graph.first_parents(commit)


def _newest(
    history: History, tier: str, line: Sequence[Commit], counts: Callable[[Record], bool]
) -> list[Record]:
    """Return a tier's runs, newest first, until there are enough."""
    found: list[Record] = []
    for entries in _entries(history, tier, line):
        found += [record for record in history.snapshot.read(entries) if counts(record)]
        if len(found) >= MOST or len({record.seed for record in found}) >= SEEDS:
            break
    return found[:MOST]


def _entries(history: History, tier: str, line: Sequence[Commit]) -> Iterator[list[Entry]]:
    """Yield a tier's records of a line of commits in steps, and end where none can be left."""
    known = {commit.id[:COMMIT_LENGTH] for commit in line}
    for batch in history.snapshot.batches():
        of_main = (e for e in batch.entries if e.name.event in EVENTS and e.name.commit in known)
        some = [entry for entry in of_main if entry.name.tier == tier]
        yield from (some[start : start + _STEP] for start in range(0, len(some), _STEP))
        if not line or batch.since <= _day(min(line, key=lambda commit: commit.time)):
            return


def _counts(record: Record, places: Collection[str]) -> bool:
    source = record.source
    return source is not None and trusted(source) and source.tested in places


def _place(record: Record, places: dict[str, int]) -> int:
    return places[record.source.tested] if record.source else 0


def _day(commit: Commit) -> date:
    return (datetime.fromtimestamp(commit.time, UTC) - _CLOCK_SKEW).date()
