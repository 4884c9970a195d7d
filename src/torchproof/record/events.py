"""The events a test run leaves behind: their vocabulary, the writer, and the reader's checks.

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
example         test, name, shown, expected, got
fingerprint     kind, name, value
note            message
session-end     exit_code, seconds
==============  ====================================================================

There may be several ``collected``: together they name the tests. A file without ``session-end`` is
the mark of a process that died.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from torchproof.errors import RecordError
from torchproof.record.strict_json import parse, spell


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_LINE_BYTES = 1024 * 1024
MAX_TEXT = 4_096
MAX_EVIDENCE = 100
MAX_EVIDENCE_DEPTH = 5  # a record holds it two levels deeper than an event
MAX_SHORT_TEXT = 64

_TIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BROKEN = re.compile("[\x00\ud800-\udfff]")
_NUMBER = (int, float, str)
_TEXT = (str, type(None))
_REQUIRED: Mapping[str, Mapping[str, Any]] = {
    "session-start": {"tier": str, "seed": int},
    "collected": {"tests": list},
    "test-start": {"test": str},
    "test-end": {"test": str, "outcome": str},
    "metric": {"test": str, "name": str, "value": _NUMBER},
    "finding": {"test": str, "rule": str, "severity": str, "message": str},
    "curve": {"test": str, "name": str, "values": list},
    "leak": {"test": str, "what": str, "message": str},
    "example": {"test": str, "name": str, "shown": str},
    "fingerprint": {"kind": str, "name": str, "value": str},
    "note": {"message": str},
    "session-end": {"exit_code": int},
}
_OPTIONAL: Mapping[str, Mapping[str, Any]] = {
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
    "example": {"expected": str, "got": str},
    "session-end": {"seconds": (int, float)},
}
_OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed", "crashed", "not-run")
_CHOICES: Mapping[str, tuple[Optional[str], ...]] = {
    "outcome": _OUTCOMES,
    "severity": ("error", "warning", "info"),
    "better": ("lower", "higher", None),
}


class EventWriter:
    """Appends events to a file, one system call each.

    A single write on an O_APPEND descriptor lets several processes (pytest-xdist workers) share
    the file, and a process that dies loses nothing that it had written.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event: str, **fields: Any) -> None:
        """Append one event.

        Long texts are cut, what JSON text cannot hold (NUL, half a character) becomes U+FFFD, and
        numbers that are not finite become strings.
        """
        line = json.dumps(spell(_cut({"event": event, **fields})), allow_nan=False, default=str)
        os.write(self._descriptor, line.encode("ascii") + b"\n")

    def close(self) -> None:
        """Close the file; a further write raises OSError."""
        os.close(self._descriptor)


def read(line: bytes) -> dict[str, Any]:
    """Read one event written by anybody.

    Raises:
        RecordError: The line is not one of the table above, or a record could not hold it.
    """
    event = parse(line, limit=MAX_LINE_BYTES)
    kind = event.get("event") if isinstance(event, dict) else None
    if not isinstance(kind, str) or kind not in _REQUIRED:
        raise RecordError(f"{kind!r:.40} is not an event")
    allowed = {**_REQUIRED[kind], **_OPTIONAL.get(kind, {})}
    for name, value in event.items():
        if name != "event" and not (_fits(value, allowed.get(name)) and _usable(name, value)):
            raise RecordError(f"the event {kind} has a wrong field {name!r:.40}")
    missing = [name for name in _REQUIRED[kind] if name not in event]
    if missing:
        raise RecordError(f"the event {kind} lacks {missing[0]}")
    cut: dict[str, Any] = _cut(event)
    return cut


def _fits(value: Any, expected: Any) -> bool:
    wrong_bool = isinstance(value, bool) and expected is not bool
    return expected is not None and isinstance(value, expected) and not wrong_bool


def _usable(name: str, value: Any) -> bool:
    """Return True if a record may hold this value under this name."""
    if name in _CHOICES:
        return value in _CHOICES[name]
    check = _CHECKS.get(name)
    return check is None or check(value)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "attempts": lambda value: value >= 0,
    "kind": bool,
    "evidence": lambda value: len(value) <= MAX_EVIDENCE and _depth(value) <= MAX_EVIDENCE_DEPTH,
    "name": bool,
    "rule": bool,
    "seconds": lambda value: value >= 0,
    "steps": lambda value: value >= 0,
    "test": bool,
    "tests": lambda value: all(isinstance(test, str) and test for test in value),
    "tier": lambda value: _TIER.fullmatch(value) is not None,
    "tolerance": lambda value: len(str(value)) <= MAX_SHORT_TEXT,
    "unit": lambda value: len(value) <= MAX_SHORT_TEXT,
    "what": bool,
}


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _cut(value: Any) -> Any:
    """Shorten every text to what a record may hold, and mend what is no text."""
    if isinstance(value, str):
        value = value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
        return _BROKEN.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_cut(str(key)): _cut(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cut(item) for item in value]
    return value
