"""Runs that did not end as a run should: died, timed out, cancelled, or collected nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torchproof.record import FAILED, how_it_died
from torchproof.verdict.model import Row


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torchproof.record import Record
    from torchproof.verdict.model import Tier, Waiting

_PYTEST_CODES = {
    1: "pytest failed the run without a failing test",
    2: "pytest was interrupted, or could not collect the tests",
    3: "pytest had an internal error",
    4: "pytest was called wrongly",
    5: "no test was collected",
}
_NO_TESTS = 5
_SIGNALS = 128  # a shell's exit code for a signal lies above
_NO_TESTS_REMEDY = "Check the tier's markers in [tool.torchproof.tiers] and where the tests lie."
_REMEDIES = {
    "crashed": "Run the tier's command on this machine; a process that dies leaves no traceback.",
    "timed-out": "Make the test faster, or raise the tier's timeout in [tool.torchproof.tiers].",
    "cancelled": "Start the run again.",
    "not-run": "Read the job's log: it says what was missing.",
}


def rows(tier: Tier, *, others_ran: bool = False) -> Iterable[Row]:
    """Give a row to every run that is not complete, or failed without a failing test.

    Args:
        tier: Both sides' runs.
        others_ran: Another tier ran tests. A tier for which the project has no test, now or on the
            baseline, is then nothing to complain of.
    """
    had_tests = any(record.outcomes for record in tier.base)
    for record in tier.head:
        if record.state != "complete":
            yield _incomplete(record)
        elif record.exit_code == _NO_TESTS and others_ran and not had_tests:
            yield replace(_ended_wrongly(record), state="shown", check="", remedy="")
        elif record.exit_code not in (0, None) and not _has_failure(record):
            yield _ended_wrongly(record)


def waiting_rows(
    waiting: Sequence[Waiting], refused: Sequence[Waiting], unchanged: Sequence[Waiting] = ()
) -> Iterable[Row]:
    """Give a row to every tier that is not here."""
    for state, tiers in (("queued", waiting), ("not-run", refused), ("same", unchanged)):
        for tier in tiers:
            yield Row(
                kind="run",
                tier=tier.tier,
                name=tier.tier,
                state=state,
                why=tier.why,
                remedy=tier.remedy,
            )


def nothing_ran() -> Row:
    """Give the row of a verdict about nothing at all."""
    why = "no run left a record"
    return Row(kind="run", tier="", name="torchproof", state="failed", why=why, check="run")


def died_in(record: Record) -> tuple[str, ...]:
    """Return the tests under which an incomplete run ended."""
    return tuple(each.test for each in record.outcomes if each.outcome == "crashed")


def _has_failure(record: Record) -> bool:
    return any(each.outcome in FAILED for each in record.outcomes)


def _incomplete(record: Record) -> Row:
    test = next(iter(died_in(record)), "")
    left = sum(each.outcome == "not-run" for each in record.outcomes)
    return Row(
        kind="run",
        tier=record.tier,
        name=record.tier,
        state="failed",
        now=record.state.replace("-", " "),
        why=f"{left} {'test' if left == 1 else 'tests'} did not run" if left else "",
        message=record.reason,
        remedy=_remedy(record),
        test=test,
        check=f"{record.tier}:{test}",
    )


def _remedy(record: Record) -> str:
    """A process that a signal ended left no traceback; one that gave up has said why."""
    if record.state == "crashed" and not _by_signal(record.exit_code):
        return "" if record.reason else _REMEDIES["not-run"]
    return _REMEDIES.get(record.state, "")


def _by_signal(exit_code: int | None) -> bool:
    return exit_code is None or exit_code < 0 or exit_code > _SIGNALS


def _ended_wrongly(record: Record) -> Row:
    code = record.exit_code or 0
    return Row(
        kind="run",
        tier=record.tier,
        name=record.tier,
        state="failed",
        now=f"exit code {code}",
        why=_PYTEST_CODES.get(code, f"the test process {how_it_died(code)}"),
        remedy=_NO_TESTS_REMEDY if code == _NO_TESTS else "Read the end of the job's log.",
        check=f"{record.tier}:",
    )
