"""The events a test run leaves behind, and the record they fold into.

==============  ====================================================================
event           fields
==============  ====================================================================
session-start   tier, seed, started, fingerprint
collected       tests
test-start      test
test-end        test, outcome, seconds, message, location, attempts
metric          test, name, value, unit, better, seed, tolerance
finding         test, rule, severity, message, evidence, location, remedy, waived
curve           test, name, values, converged, steps, reason, seed
leak            test, what, message
note            message
session-end     exit_code, seconds
==============  ====================================================================

A file without ``session-end`` is the mark of a process that died.
"""

from __future__ import annotations

import json
import os
import signal
import stat
from typing import TYPE_CHECKING, Any, Optional, Union

from torchproof.errors import RecordError
from torchproof.record.document import build
from torchproof.record.model import Cost, Curve, Finding, Leak, Metric, Outcome, Record
from torchproof.record.strict_json import parse, spell


if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_LINE_BYTES = 1024 * 1024
MAX_LINES = 100_000
MAX_TEXT = 4_096

_NUMBER = (int, float, str)
_TEXT = (str, type(None))
_REQUIRED = {
    "session-start": {"tier": str, "seed": int},
    "collected": {"tests": list},
    "test-start": {"test": str},
    "test-end": {"test": str, "outcome": str},
    "metric": {"test": str, "name": str, "value": _NUMBER},
    "finding": {"test": str, "rule": str, "severity": str, "message": str},
    "curve": {"test": str, "name": str, "values": list},
    "leak": {"test": str, "what": str, "message": str},
    "note": {"message": str},
    "session-end": {"exit_code": int},
}
_OPTIONAL = {
    "session-start": {"started": str, "fingerprint": dict},
    "test-end": {"seconds": (int, float), "message": str, "location": _TEXT, "attempts": int},
    "metric": {
        "unit": str,
        "better": _TEXT,
        "seed": (int, type(None)),
        "tolerance": (int, float, str, type(None)),
    },
    "finding": {"evidence": dict, "location": _TEXT, "remedy": str, "waived": str},
    "curve": {"converged": bool, "steps": int, "reason": str, "seed": (int, type(None))},
    "session-end": {"seconds": (int, float)},
}
_OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed", "crashed", "not-run")
_CHOICES = {
    "outcome": _OUTCOMES,
    "severity": ("error", "warning", "info"),
    "better": ("lower", "higher", None),
}
_KINDS = {"metric": Metric, "finding": Finding, "curve": Curve, "leak": Leak}


class EventWriter:
    """Appends events to a file, one system call each.

    A single write on an O_APPEND descriptor lets several processes (pytest-xdist workers) share
    the file, and a process that dies loses nothing that it had written.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event: str, **fields: Any) -> None:
        """Append one event; long texts are cut, numbers that are not finite become strings."""
        line = json.dumps(spell(_cut({"event": event, **fields})), allow_nan=False)
        os.write(self._descriptor, line.encode("ascii") + b"\n")

    def close(self) -> None:
        """Close the file; a further write raises OSError."""
        os.close(self._descriptor)


def fold_file(path: Union[str, Path], *, tier: str = "", exit_code: Optional[int] = None) -> Record:
    """Fold the events in a file; a file that never came to be is a run that never started.

    The code under test may have put anything at the path: a link to a file that only the reader
    may see, a pipe without a writer, a line without an end. None of these is followed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        reason = "the test process wrote no events"
        reason += f": it {how_it_died(exit_code)}" if exit_code else ""
        return Record(tier=tier, state="crashed", reason=reason, exit_code=exit_code)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            reason = "the events are not in a regular file"
            return Record(tier=tier, state="crashed", reason=reason, exit_code=exit_code)
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
        self.unreadable = 0

    def take(self, line: bytes) -> None:
        try:
            event = _checked(parse(line, limit=MAX_LINE_BYTES))
            self._apply(event.pop("event"), event)
        except RecordError:
            self.unreadable += 1

    def _apply(self, kind: str, fields: dict[str, Any]) -> None:
        if kind == "session-start":
            self.start = fields
        elif kind == "session-end":
            self.end = fields
        elif kind == "collected":
            self.collected = [str(test) for test in fields["tests"]]
        elif kind == "test-start":
            # A rerun starts the test again: what its earlier attempt recorded does not count.
            self.running[fields["test"]] = None
            self.items[fields["test"]] = []
        elif kind == "test-end":
            self.running.pop(fields["test"], None)
            self.outcomes[fields["test"]] = Outcome(**fields)
        elif kind == "note":
            self.notes.append(fields["message"])
        else:
            self.items.setdefault(fields["test"], []).append(build(_KINDS[kind], fields))

    def record(self, exit_code: Optional[int]) -> Record:
        ended = self.end.get("exit_code")
        code = ended if exit_code is None else exit_code
        complete = ended is not None and ended == code
        if self.unreadable:
            self.notes.append(f"{self.unreadable} event line(s) could not be read")
        return Record(
            tier=self.start.get("tier") or self.tier,
            state="complete" if complete else "crashed",
            reason="" if complete else self._why(code),
            started=self.start.get("started", ""),
            seed=self.start.get("seed", 0),
            exit_code=code,
            outcomes=tuple(self._outcomes()),
            findings=self._all(Finding),
            metrics=self._all(Metric),
            curves=self._all(Curve),
            leaks=self._all(Leak),
            notes=tuple(self.notes),
            fingerprint=_texts(self.start.get("fingerprint", {})),
            cost=Cost(seconds=float(self.end.get("seconds", 0.0))),
        )

    def _outcomes(self) -> Iterable[Outcome]:
        died = "the process died while this test ran"
        outcomes = dict(self.outcomes)
        outcomes.update({test: Outcome(test, "crashed", message=died) for test in self.running})
        for test in self.collected:
            outcomes.setdefault(test, Outcome(test, "not-run"))
        return outcomes.values()

    def _all(self, kind: type) -> tuple[Any, ...]:
        return tuple(item for items in self.items.values() for item in items if type(item) is kind)

    def _why(self, code: Optional[int]) -> str:
        during = f" while running {next(iter(self.running))}" if self.running else ""
        if code is None:
            return f"the test process ended without closing its session{during}"
        return f"the test process {how_it_died(code)}{during}"


def _checked(event: Any) -> dict[str, Any]:
    """Return the event if it is one of the table above with fields of the right types."""
    kind = event.get("event") if isinstance(event, dict) else None
    if kind not in _REQUIRED:
        raise RecordError(f"{kind!r:.40} is not an event")
    allowed = {**_REQUIRED[kind], **_OPTIONAL.get(kind, {})}
    for name, value in event.items():
        if name != "event":
            _check_field(kind, name, value, allowed)
    missing = [name for name in _REQUIRED[kind] if name not in event]
    if missing:
        raise RecordError(f"the event {kind} lacks {missing[0]}")
    return _cut(event)


def _check_field(kind: str, name: str, value: Any, allowed: dict[str, Any]) -> None:
    expected = allowed.get(name)
    wrong_bool = isinstance(value, bool) and expected is not bool
    if expected is None or not isinstance(value, expected) or wrong_bool:
        raise RecordError(f"the event {kind} has a wrong field {name!r:.40}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise RecordError(f"the event {kind} says {name} = {value!r:.40}")


def _cut(value: Any) -> Any:
    """Shorten every text to what a record may hold."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cut(item) for item in value]
    return value


def _texts(fingerprint: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Keep of a fingerprint what has its shape: kind → name → text."""
    return {
        str(kind): {str(name): str(value) for name, value in facts.items()}
        for kind, facts in fingerprint.items()
        if isinstance(facts, dict)
    }
