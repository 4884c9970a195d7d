"""Folding: the events of a run become its record, whatever became of the process that wrote them.

Whatever is read here, the record that comes out is one that the schema accepts.
"""

from __future__ import annotations

import os
import signal
import stat
from itertools import islice
from typing import TYPE_CHECKING, Any, Optional, Union

from torchproof.errors import RecordError
from torchproof.record.document import build
from torchproof.record.events import MAX_LINE_BYTES, MAX_TEXT, read
from torchproof.record.model import (
    NO_TIER,
    PASSED,
    Cost,
    Curve,
    Example,
    Finding,
    Leak,
    Metric,
    Outcome,
    Record,
)


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MAX_LINES = 100_000
MAX_ITEMS = 10_000
MAX_CURVES = 1_000
MAX_EXAMPLES = 200
MAX_NOTES = 900  # the schema's 1,000, less what folding itself has to say
MAX_KINDS = 20
MAX_NAMES = 1_000

# Windows, where only developers are, has neither flag.
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_KINDS = {"metric": Metric, "finding": Finding, "curve": Curve, "leak": Leak, "example": Example}


def fold_file(path: Union[str, Path], *, tier: str = "", exit_code: Optional[int] = None) -> Record:
    """Fold the events in a file; a file that never came to be is a run that never started.

    The code under test may have put anything at the path: a link to a file that only the reader
    may see, a pipe without a writer, a line without an end. None of these is followed.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        reason = "the test process wrote no events"
        reason += f": it {how_it_died(exit_code)}" if exit_code else ""
        return Record(tier=tier or NO_TIER, state="crashed", reason=reason, exit_code=exit_code)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            reason = "the events are not in a regular file"
            return Record(tier=tier or NO_TIER, state="crashed", reason=reason, exit_code=exit_code)
        lines = iter(lambda: file.readline(MAX_LINE_BYTES + 1), b"")
        return fold(lines, tier=tier, exit_code=exit_code)


def fold(lines: Iterable[bytes], *, tier: str = "", exit_code: Optional[int] = None) -> Record:
    """Turn a run's events into its record, whatever became of the process that wrote them.

    Args:
        lines: The events, as bytes, one line each.
        tier: The tier that was asked for, in case the process died before saying it.
        exit_code: What the operating system says of the process, negative for a signal. Without
            it the code in ``session-end`` counts.

    Returns:
        A record that is ``complete`` only if the session closed itself and exit codes agree.
    """
    run = _Run(tier)
    for count, line in enumerate(lines):
        if count == MAX_LINES:
            run.notes.append(f"events after the first {MAX_LINES} were left out")
            break
        run.take(line)
    return run.record(exit_code)


def how_it_died(exit_code: int) -> str:
    """Say an exit code in words; a negative code or 128 + n names the signal."""
    number = -exit_code if exit_code < 0 else exit_code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"exited with code {exit_code}"
    hint = " (out of memory, or killed from outside)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


class _Run:
    """What is known of a run after some of its events."""

    def __init__(self, tier: str) -> None:
        self.tier = tier
        self.start: dict[str, Any] = {}
        self.end: dict[str, Any] = {}
        self.collected: list[str] = []
        self.running: dict[str, None] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.items: dict[str, list[Any]] = {}
        self.notes: list[str] = []
        self.facts: dict[str, dict[str, str]] = {}
        self.unreadable = 0

    def take(self, line: bytes) -> None:
        try:
            event = read(line)
            self._apply(event.pop("event"), event)
        except RecordError:
            self.unreadable += 1

    def _apply(self, kind: str, fields: dict[str, Any]) -> None:
        if kind == "session-start":
            self.start = fields
        elif kind == "session-end":
            self.end = fields
        elif kind == "collected":
            self.collected += fields["tests"]
        elif kind == "test-start":
            # A rerun starts the test again: what its earlier attempt recorded does not count.
            self.running[fields["test"]] = None
            self.items[fields["test"]] = []
        elif kind == "test-end":
            self.running.pop(fields["test"], None)
            self.outcomes[fields["test"]] = Outcome(**fields)
        elif kind == "note":
            if len(self.notes) < MAX_NOTES:
                self.notes.append(fields["message"])
        elif kind == "fingerprint":
            self.facts.setdefault(fields["kind"], {})[fields["name"]] = fields["value"]
        else:
            self.items.setdefault(fields["test"], []).append(build(_KINDS[kind], fields))

    def record(self, exit_code: Optional[int]) -> Record:
        ended = self.end.get("exit_code")
        code = ended if exit_code is None else exit_code
        complete = ended is not None and ended == code
        if self.unreadable:
            self.notes.append(f"{self.unreadable} event line(s) could not be read")
        outcomes = self._bounded("outcomes", self._outcomes(), MAX_ITEMS)
        return Record(
            tier=self.start.get("tier") or self.tier or NO_TIER,
            state="complete" if complete else "crashed",
            reason="" if complete else self._why(code),
            started=self.start.get("started", ""),
            seed=self.start.get("seed", 0),
            exit_code=code,
            outcomes=outcomes,
            findings=self._all("findings", Finding),
            metrics=self._all("metrics", Metric),
            curves=self._all("curves", Curve, MAX_CURVES),
            leaks=self._all("leaks", Leak),
            examples=self._all("examples", Example, MAX_EXAMPLES),
            notes=tuple(self.notes),
            fingerprint=_texts(_merged(self.start.get("fingerprint", {}), self.facts)),
            cost=Cost(seconds=float(self.end.get("seconds", 0.0))),
        )

    def _outcomes(self) -> Sequence[Outcome]:
        died = "the process died while this test ran"
        outcomes = dict(self.outcomes)
        outcomes.update({test: Outcome(test, "crashed", message=died) for test in self.running})
        for test in self.collected:
            outcomes.setdefault(test, Outcome(test, "not-run"))
        if len(outcomes) <= MAX_ITEMS:
            return list(outcomes.values())
        return sorted(outcomes.values(), key=lambda outcome: outcome.outcome in PASSED)

    def _all(self, name: str, kind: type, limit: int = MAX_ITEMS) -> tuple[Any, ...]:
        found = [item for items in self.items.values() for item in items if type(item) is kind]
        return self._bounded(name, found, limit)

    def _bounded(self, name: str, items: Sequence[Any], limit: int) -> tuple[Any, ...]:
        if len(items) > limit:
            self.notes.append(f"{len(items) - limit} {name} after the first {limit} were left out")
        return tuple(items[:limit])

    def _why(self, code: Optional[int]) -> str:
        during = f" while running {next(iter(self.running))}" if self.running else ""
        if code is None:
            return f"the test process ended without closing its session{during}"
        return f"the test process {how_it_died(code)}{during}"


def _merged(first: dict[str, Any], later: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Add what tests found out to what the session knew at its start."""
    kinds = dict(first)
    for kind, facts in later.items():
        known = kinds.get(kind)
        kinds[kind] = {**(known if isinstance(known, dict) else {}), **facts}
    return kinds


def _texts(fingerprint: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Keep of a fingerprint what has its shape: kind → name → text."""
    kinds = [(kind, facts) for kind, facts in fingerprint.items() if isinstance(facts, dict)]
    return {
        kind: {name: str(value)[:MAX_TEXT] for name, value in islice(facts.items(), MAX_NAMES)}
        for kind, facts in kinds[:MAX_KINDS]
    }
