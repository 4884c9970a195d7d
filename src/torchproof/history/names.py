"""A record's path on the history branch, and what can be read off it without opening the file.

    runs/YYYY/MM/DD/HHMMSSZ-<run_id>-<attempt>-<tier>-s<seed>-<event>-<commit12>.json

The path is the idempotency key: it is made of the record alone, so storing a record twice finds
the first one. ``commit12`` is the start of the *tested* commit (``source.tested``), because both
searches ask for it: the baseline search wants records of push, schedule and merge_group runs, where
tested and pushed commit are one, and the dispatched GPU run wants what the hosted run stored for
the very tree it tests, which for a pull request is the merge commit and not the pushed head.

Run id, tier and event are percent-encoded, the hyphen too, so that the parts can be told apart. A
second record that would get the same path but has other bytes is stored as ``….2.json``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from torchproof.errors import HistoryError


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from torchproof.record import Record

ROOT = "runs/"
INBOX = "refs/torchproof/inbox/"
COMMIT_LENGTH = 12

_CLOCK_SKEW = timedelta(hours=1)
_PART = r"[A-Za-z0-9_.~%]+"
_PATH = re.compile(
    r"runs/(?P<time>\d{4}/\d\d/\d\d/\d{6})Z"
    rf"-(?P<run_id>{_PART})-(?P<attempt>\d+)-(?P<tier>{_PART})-s(?P<seed>-?\d+)"
    rf"-(?P<event>{_PART})-(?P<commit>[0-9a-f]{{{COMMIT_LENGTH}}})(?:\.(?P<copy>\d+))?\.json"
)


@dataclass(frozen=True, kw_only=True)
class Name:
    """The facts in a record's path; ``time`` is in UTC and whole seconds."""

    time: datetime
    run_id: str
    attempt: int
    tier: str
    seed: int
    event: str
    commit: str
    copy: int = 1

    @property
    def day(self) -> date:
        """The UTC day whose directory holds the record."""
        return self.time.date()

    @property
    def order(self) -> tuple[datetime, int, str, int, int, str]:
        """Sort by this for the order of the runs; a later run has a larger run id."""
        return (self.time, len(self.run_id), self.run_id, self.attempt, self.copy, self.path)

    @property
    def path(self) -> str:
        """Where the record lies on the history branch."""
        parts = (
            f"{self.time:%Y/%m/%d/%H%M%S}Z",
            _quoted(self.run_id),
            str(self.attempt),
            _quoted(self.tier),
            f"s{self.seed}",
            _quoted(self.event),
            self.commit,
        )
        return ROOT + "-".join(parts) + (f".{self.copy}" if self.copy > 1 else "") + ".json"


def name_of(record: Record, *, now: datetime) -> Name:
    """Name a record.

    The time is the record's own start. Where it has none, or one that the test side cannot have
    seen (it lies in the future), ``now`` stands in.

    Raises:
        HistoryError: The record does not say where it comes from.
    """
    source = record.source
    if source is None:
        raise HistoryError("a record without its source cannot be stored", "Add the source first.")
    return Name(
        time=_start(record.started, now),
        run_id=source.run_id,
        attempt=source.attempt,
        tier=record.tier,
        seed=record.seed,
        event=source.event,
        commit=source.tested[:COMMIT_LENGTH],
    )


def parse(path: str) -> Name | None:
    """Read the facts off a path; None if it is not one that `Name.path` writes."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    try:
        time = datetime.strptime(match["time"], "%Y/%m/%d/%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    name = Name(
        time=time,
        run_id=unquote(match["run_id"]),
        attempt=int(match["attempt"]),
        tier=unquote(match["tier"]),
        seed=int(match["seed"]),
        event=unquote(match["event"]),
        commit=match["commit"],
        copy=int(match["copy"] or 1),
    )
    return name if name.path == path else None


def describes(name: Name, record: Record) -> bool:
    """Say whether the record is the one that the name speaks of, its time aside."""
    return (
        name_of(record, now=name.time).path.partition("Z-")[2]
        == (replace(name, copy=1).path.partition("Z-")[2])
    )


def free_path(name: Name, blob: str, files: Mapping[str, str]) -> str | None:
    """Find where a record goes among files that are there; None if it is there already.

    Args:
        name: The record's name.
        blob: The id git gives the record's bytes.
        files: Path → blob id of what is stored.
    """
    while name.path in files:
        if files[name.path] == blob:
            return None
        name = replace(name, copy=name.copy + 1)
    return name.path


def inbox_ref(name: Name) -> str:
    """Name the ref that takes a run's records when the history branch does not."""
    run_id = _quoted(name.run_id).replace(".", "%2E")
    return f"{INBOX}{run_id}-{name.attempt}"


def _quoted(text: str) -> str:
    return quote(text, safe="").replace("-", "%2D")


def _start(started: str, now: datetime) -> datetime:
    try:
        time = datetime.fromisoformat(started)
    except ValueError:
        time = now
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    try:
        time = time.astimezone(UTC)
    except OverflowError:
        time = now
    plausible = datetime(1970, 1, 1, tzinfo=UTC) <= time <= now + _CLOCK_SKEW
    return (time if plausible else now).replace(microsecond=0)
