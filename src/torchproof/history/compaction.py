"""Compaction: the files of a day that is over become one archive file, in one commit.

It keeps the tree small, as every append downloads the tree's names and no git host likes a
directory of more than 3,000 files. It runs nightly, may run at any time and twice, and changes no
record's name or bytes. An archive that is there is never rewritten: what arrives late for its day
gets a further file.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from torchproof.history import archive, names, plumbing
from torchproof.history.snapshot import Entry
from torchproof.record import dumps


if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from torchproof.history.snapshot import Snapshot
    from torchproof.history.store import Appended, History
    from torchproof.record import Record

    Edits = dict[str, bytes | None]

KEPT_DAYS = 2


def compact(history: History, today: date) -> Appended:
    """Archive every day that is more than two days old, and take in what waits in inboxes.

    A file that is no readable record stays where it is and is reported in ``history.damaged``.

    Raises:
        HistoryError: The history cannot be read, or the branch refuses; nothing is changed then.
    """
    before = today - timedelta(days=KEPT_DAYS)
    message = f"Archive the records before {before}"
    return history.publish(lambda snapshot: _edits(snapshot, before), message)


def _edits(snapshot: Snapshot, before: date) -> Edits:
    files = snapshot.branch.files.items()
    entries = [Entry(name, blob) for path, blob in files if (name := names.parse(path))]
    old = sorted((e for e in entries if e.name.day < before), key=lambda entry: entry.name.path)
    edits: Edits = {}
    for day, found in groupby(snapshot.readable(old), key=lambda item: item[0].name.day):
        edits.update(_day_edits(snapshot, day, found))
    return edits


def _day_edits(snapshot: Snapshot, day: date, found: Iterable[tuple[Entry, Record]]) -> Edits:
    edits: Edits = {}
    new: dict[str, bytes] = {}
    there = {e.name.path: plumbing.blob_id(e.data or b"") for e in snapshot.archived(day)}
    for entry, record in found:
        data = dumps(record)
        path = names.free_path(entry.name, plumbing.blob_id(data), there)
        if path:
            there[path] = plumbing.blob_id(data)
            new[path] = data
        edits[entry.name.path] = None
    first = archive.next_part(day, snapshot.branch.files)
    return edits | (archive.pack(day, new, first=first) if new else {})
