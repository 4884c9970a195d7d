"""The history as it stood at one fetch: which records there are, and their contents on demand.

Listing needs trees only. Contents come in one request per batch: the loose files of the last days
first, then the archives from the newest backwards, so that a search which ends early reads little.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from torchproof.errors import RecordError
from torchproof.history import archive, names, plumbing
from torchproof.history.trust import EVENTS, trusted
from torchproof.record import loads


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from torchproof.history.names import Name
    from torchproof.history.plumbing import Blobs
    from torchproof.record import Metric, Record, Source

# How many archived days one request asks for: first, and at most as a search goes on.
FIRST_DAYS = 4
MAX_DAYS_AT_ONCE = 32


class Damaged(NamedTuple):
    """A file of the history that cannot be read as what it claims to be."""

    path: str
    why: str


class Entry(NamedTuple):
    """A stored record: its name, and its bytes or the blob that has them."""

    name: Name
    blob: str
    data: bytes | None = None


class Batch(NamedTuple):
    """Records, newest first; with all batches so far they are complete from day ``since`` on."""

    since: date
    entries: list[Entry]


@dataclass(frozen=True)
class Tree:
    """A commit and its files, path → blob id."""

    commit: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)


class Snapshot:
    """What the history held when it was fetched.

    Args:
        branch: The history branch; an empty `Tree` if there is none yet.
        inboxes: Ref → what waits there to be taken into the branch.
        default_branch: The branch that the remote's HEAD names.
        blobs: Reads contents.
        on_damage: Told of each file that cannot be read.
    """

    def __init__(
        self,
        branch: Tree,
        inboxes: Mapping[str, Tree],
        default_branch: str | None,
        blobs: Blobs,
        on_damage: Callable[[Damaged], None],
    ) -> None:
        self.branch = branch
        self.inboxes = inboxes
        self.default_branch = default_branch
        self._blobs = blobs
        self._on_damage = on_damage

    def after(self, edits: Mapping[str, bytes]) -> Snapshot:
        """Return the history as it would be with some files written to the branch."""
        files = {path: plumbing.blob_id(data) for path, data in edits.items()}
        branch = Tree(self.branch.commit, {**self.branch.files, **files})
        return Snapshot(branch, self.inboxes, self.default_branch, self._blobs, self._on_damage)

    def loose(self) -> list[Entry]:
        """Return the records that have a file of their own, newest first."""
        trees = (*self.inboxes.values(), self.branch)
        files = {path: blob for tree in trees for path, blob in tree.files.items()}
        entries = []
        for path, blob in files.items():
            name = names.parse(path)
            if name:
                entries.append(Entry(name, blob))
            elif path.startswith(names.ROOT):
                self._on_damage(Damaged(path, "its name is not one of a record"))
        return _newest_first(entries)

    def batches(self) -> Iterator[Batch]:
        """Yield every record once, from now backwards; reads archives as it goes."""
        days = self._archives()
        loose = self.loose()
        yield Batch(days[0][0] + timedelta(days=1) if days else date.min, loose)
        seen = {entry.name.path for entry in loose}
        start, size = 0, FIRST_DAYS
        while start < len(days):
            some = days[start : start + size]
            entries = self._unpacked([path for _, paths in some for path in paths])
            start, size = start + size, min(2 * size, MAX_DAYS_AT_ONCE)
            since = some[-1][0] if start < len(days) else date.min
            yield Batch(since, _newest_first(e for e in entries if e.name.path not in seen))

    def read(self, entries: Sequence[Entry]) -> list[Record]:
        """Read records, in the same order; a damaged one is left out and reported."""
        return [record for _, record in self.readable(entries)]

    def readable(self, entries: Sequence[Entry]) -> list[tuple[Entry, Record]]:
        """Read records like `read`, each with its entry."""
        blobs = self._blobs.read(entry.blob for entry in entries if entry.data is None)
        records = []
        for entry in entries:
            data = blobs[entry.blob] if entry.data is None else entry.data
            try:
                records.append((entry, self._checked(entry.name, data)))
            except RecordError as error:
                self._on_damage(Damaged(entry.name.path, error.what))
        return records

    def records(
        self, commits: Collection[str] | None = None, *, since: date | None = None
    ) -> list[Record]:
        """Return records, oldest first.

        Args:
            commits: Tested commits in full; None for all records.
            since: A day before which nothing is of interest; saves reading older archives.
        """
        starts = None if commits is None else {commit[: names.COMMIT_LENGTH] for commit in commits}
        found: list[Entry] = []
        for batch in self.batches():
            found += [e for e in batch.entries if starts is None or e.name.commit in starts]
            if since is not None and batch.since <= since:
                break
        records = self.read(sorted(found, key=lambda entry: entry.name.order))
        return [r for r in records if commits is None or (r.source and r.source.tested in commits)]

    def last(
        self, metric: str, n: int, *, branch: str | None = None
    ) -> list[tuple[Source, Metric]]:
        """Return the last ``n`` values of a metric on the main line, oldest first.

        Args:
            metric: Its name, or ``test::name`` where several tests use the name.
            n: How many values; a run of several seeds has several.
            branch: The main line; by default the branch that the remote's HEAD names, and if
                it names none, every branch.
        """
        branch = branch or self.default_branch
        found: list[tuple[Source, Metric]] = []
        for entries in self._main_line(step=max(n, 1)):
            for record in self.read(entries):
                found += reversed(_values(record, metric, branch))
            if len(found) >= n:
                break
        return found[:n][::-1]

    def _main_line(self, *, step: int) -> Iterator[list[Entry]]:
        for batch in self.batches():
            entries = [entry for entry in batch.entries if entry.name.event in EVENTS]
            yield from (entries[start : start + step] for start in range(0, len(entries), step))

    def archived(self, day: date) -> list[Entry]:
        """Return what the archives of a day hold."""
        return self._unpacked([path for path in self.branch.files if archive.day_of(path) == day])

    def contents(self, blobs: Sequence[str]) -> dict[str, bytes]:
        """Return raw file contents by blob id."""
        return self._blobs.read(blobs)

    def _archives(self) -> list[tuple[date, list[str]]]:
        dated = [(archive.day_of(path), path) for path in self.branch.files]
        days = sorted(((day, path) for day, path in dated if day), reverse=True)
        return [(day, [path for _, path in some]) for day, some in groupby(days, lambda d: d[0])]

    def _unpacked(self, paths: Sequence[str]) -> list[Entry]:
        blobs = self._blobs.read(self.branch.files[path] for path in paths)
        found: dict[str, Entry] = {}
        for path in paths:
            blob = self.branch.files[path]
            for line, (record_path, data) in enumerate(archive.unpack(blobs[blob]), start=1):
                name = names.parse(record_path)
                if name is None:
                    self._on_damage(Damaged(f"{path}:{line}", "the line is no archived record"))
                else:
                    found[record_path] = Entry(name, blob, data)
        return list(found.values())

    @staticmethod
    def _checked(name: Name, data: bytes) -> Record:
        record = loads(data, where=name.path)
        if record.source is None or not names.describes(name, record):
            raise RecordError("what it says of its run is not what its name says")
        return record


def _newest_first(entries: Iterator[Entry] | list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.name.order, reverse=True)


def _values(record: Record, metric: str, branch: str | None) -> list[tuple[Source, Metric]]:
    source = record.source
    if source is None or not trusted(source) or branch not in (None, source.branch):
        return []
    return [
        (source, item)
        for item in record.metrics
        if metric in (item.name, f"{item.test}::{item.name}")
    ]
