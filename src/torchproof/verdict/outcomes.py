"""Tests: failed, new, dropped, newly skipped, not run, fixed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from torchproof.record import FAILED, PASSED
from torchproof.verdict.model import Row


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torchproof.record import Outcome, Record
    from torchproof.verdict.model import Tier

BEST_FIRST = (
    "passed",
    "xfailed",
    "skipped",
    "not-run",
    "xpassed",
    "failed",
    "error",
    "crashed",
)


def rows(tier: Tier, explained: frozenset[str] = frozenset()) -> Iterable[Row]:
    """Judge every test of the tier.

    Args:
        tier: Both sides' runs.
        explained: Failed tests whose reason stands in another row.
    """
    head, base = outcomes(tier.head), outcomes(tier.base)
    runs = Counter(end.test for run in tier.head for end in run.outcomes)
    bad = Counter(e.test for run in tier.head for e in run.outcomes if e.outcome in FAILED)
    for test, outcome in head.items():
        row = _row(tier, outcome, base.get(test))
        if 0 < bad[test] < runs[test]:
            row = replace(row, why=f"in {bad[test]} of {runs[test]} runs")
        if not (row.state == "failed" and test in explained):
            yield row
    if all(record.state == "complete" for record in tier.head):
        yield from (_dropped(tier, gone) for test, gone in base.items() if test not in head)


def outcomes(records: Sequence[Record]) -> dict[str, Outcome]:
    """Return each test's outcome; of several runs the worst one."""
    worst: dict[str, Outcome] = {}
    for record in records:
        for outcome in record.outcomes:
            known = worst.get(outcome.test)
            if known is None or _badness(outcome) > _badness(known):
                worst[outcome.test] = outcome
    return worst


def _badness(outcome: Outcome) -> int:
    return BEST_FIRST.index(outcome.outcome)


def _row(tier: Tier, outcome: Outcome, base: Outcome | None) -> Row:
    state, why = _state(outcome.outcome, base.outcome if base else None, based=bool(tier.base))
    if outcome.attempts > 1:
        why = why or f"at attempt {outcome.attempts}"
    ran = outcome.outcome in PASSED + FAILED
    return Row(
        kind="test",
        tier=tier.name,
        name=outcome.test,
        state=state,
        before=_word(base.outcome) if base else "",
        now=_word(outcome.outcome),
        why=why,
        message="" if outcome.outcome in PASSED else outcome.message,
        location=outcome.location,
        test=outcome.test,
        check=f"{tier.name}:{outcome.test}" if ran else "",
    )


def _state(now: str, before: str | None, *, based: bool) -> tuple[str, str]:
    """Return a test's state and, where it does not speak for itself, why."""
    if now in FAILED:
        why = "a test marked as failing passes" if now == "xpassed" else ""
        return "failed", "fails on the baseline too" if before in FAILED else why
    if now == "not-run":
        return "not-run", "collected, and never started"
    if before is None:
        return ("new" if based else "passed" if now in PASSED else "shown"), ""
    if now == "skipped":
        return ("same" if before == "skipped" else "skipped"), ""
    if before in FAILED:
        return "fixed", ""
    return ("same" if before in PASSED else "better"), ""


def _dropped(tier: Tier, gone: Outcome) -> Row:
    row = Row(kind="test", tier=tier.name, name=gone.test, state="dropped", test=gone.test)
    return replace(row, before=_word(gone.outcome), now="gone", location=gone.location)


def _word(outcome: str) -> str:
    return {"not-run": "not run", "xfailed": "expected failure"}.get(outcome, outcome)
