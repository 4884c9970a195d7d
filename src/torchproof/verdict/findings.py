"""Findings and leaks: what a proof or the plugin saw in code whose tests may well pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.record import PASSED
from torchproof.verdict.model import Row
from torchproof.verdict.outcomes import outcomes


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torchproof.record import Finding, Leak, Record
    from torchproof.verdict.model import Tier

FOUND, CLEAN = "found", "clean"
_STATES = {"error": "failed", "warning": "warning", "info": "shown"}


def rows(tier: Tier) -> Iterable[Row]:
    """Judge every broken rule of the head, and name those that are not broken any more."""
    base = {(each.test, each.rule): each for run in tier.base for each in run.findings}
    head = _once(tier.head)
    judged = outcomes(tier.base)
    for finding in head:
        known = (finding.test, finding.rule) in base
        before = FOUND if known else CLEAN if finding.test in judged else ""
        yield _finding(tier, finding, before)
    now = {(finding.test, finding.rule) for finding in head}
    ran = {test for test, end in outcomes(tier.head).items() if end.outcome in PASSED}
    for key, finding in base.items():
        if key not in now and finding.test in ran and finding.severity != "info":
            yield _fixed(tier, finding)


def leak_rows(tier: Tier) -> Iterable[Row]:
    """Give a warning to every state that a test changed and did not put back."""
    base = {(leak.test, leak.what) for run in tier.base for leak in run.leaks}
    judged = outcomes(tier.base)
    seen = {(leak.test, leak.what): leak for run in tier.head for leak in run.leaks}
    for key, leak in seen.items():
        yield _leak(tier, leak, FOUND if key in base else CLEAN if leak.test in judged else "")


def _once(records: Sequence[Record]) -> Sequence[Finding]:
    """Return the findings of all runs; what several seeds found in one place counts once."""
    found = {
        (each.test, each.rule, each.severity, each.location, each.waived): each
        for record in records
        for each in record.findings
    }
    return tuple(found.values())


def _finding(tier: Tier, finding: Finding, before: str) -> Row:
    return Row(
        kind="finding",
        tier=tier.name,
        name=finding.rule,
        state="waived" if finding.waived else _STATES[finding.severity],
        before=before,
        now=FOUND,
        why="waived:" if finding.waived else "on the baseline too" if before == FOUND else "",
        message=finding.waived or finding.message,
        evidence=finding.evidence,
        location=finding.location,
        remedy="" if finding.waived else finding.remedy,
        test=finding.test,
        check=f"{tier.name}:{finding.test}",
    )


def _fixed(tier: Tier, finding: Finding) -> Row:
    return Row(
        kind="finding",
        tier=tier.name,
        name=finding.rule,
        state="fixed",
        before=FOUND,
        now=CLEAN,
        test=finding.test,
        check=f"{tier.name}:{finding.test}",
    )


def _leak(tier: Tier, leak: Leak, before: str) -> Row:
    return Row(
        kind="leak",
        tier=tier.name,
        name=leak.what,
        state="warning",
        before=before,
        now=FOUND,
        message=leak.message,
        remedy="Put it back at the end of the test, or set it in a fixture that does.",
        test=leak.test,
    )
