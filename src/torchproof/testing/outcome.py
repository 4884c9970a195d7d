"""What became of a test, judged from the reports of its phases, in the record's words."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from torchproof.record import Outcome


if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LINES = 6
MAX_CHARACTERS = 600

# An error of ours, which names the user's line (`own_errors`).
_PLACED = re.compile(r"(?P<sentence>torchproof: .*)\n  at (?P<place>\S+:\d+)", re.DOTALL)


def judge(test: str, reports: Sequence[Any], *, attempts: int = 1) -> Outcome:
    """Return the outcome of one attempt.

    Args:
        test: The test's id.
        reports: What pytest reported, in order: set-up, call, teardown. Subtests report before
            the call they belong to; one that fails, fails its test.
        attempts: How often the test has been run, this time included.
    """
    outcome, decisive = _decide(reports)
    message = reason(decisive) if outcome != "passed" else ""
    told = _PLACED.fullmatch(message)
    return Outcome(
        test,
        outcome,
        seconds=max(0.0, sum(report.duration for report in _own(reports))),
        message=told["sentence"] if told else message,
        location=told["place"] if told else place(decisive.location),
        attempts=attempts,
    )


def _decide(reports: Sequence[Any]) -> tuple[str, Any]:
    for report in reports:
        if report.failed:
            return _failure(report), report
    own = _own(reports)
    last = next((report for report in own if report.skipped), own[-1])
    if not last.skipped:
        return "passed", last
    return "xfailed" if hasattr(last, "wasxfail") else "skipped", last


def _failure(report: Any) -> str:
    if report.when != "call":
        return "error"
    return "xpassed" if str(report.longrepr).startswith("[XPASS(strict)]") else "failed"


def _own(reports: Sequence[Any]) -> Sequence[Any]:
    """Return the last report of each phase: those before it are of subtests."""
    return list({report.when: report for report in reports}.values())


def reason(report: Any) -> str:
    """Say in a few lines why a report is not a plain pass."""
    if getattr(report, "wasxfail", ""):
        return _cut(report.wasxfail)
    text = report.longrepr
    if isinstance(text, tuple):  # a skip: path, line, reason
        return _cut(str(text[2]))
    crash = getattr(text, "reprcrash", None)
    if crash is not None:
        return _cut(crash.message.removeprefix("Failed: "))
    lines = str(text or "").splitlines()
    errors = dedent("\n".join(line[1:] for line in lines if line.startswith("E ")))
    return _cut(errors or "\n".join(lines))


def place(location: Any) -> str:
    """Return ``path:line`` of pytest's location, whose lines count from 0."""
    path, line, _ = location
    return str(path) if line is None else f"{path}:{line + 1}"


def _cut(text: str) -> str:
    lines = text.strip().splitlines()
    short = "\n".join(lines[:MAX_LINES])
    if len(short) > MAX_CHARACTERS:
        return short[:MAX_CHARACTERS] + "…"
    return short + "\n…" if len(lines) > MAX_LINES else short
