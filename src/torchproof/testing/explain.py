"""Findings as a test's failure shows them: sentence, line, evidence, remedy, waiver."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any, Callable, Optional


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_VALUE = 200


def explain(
    findings: Sequence[Any], *, line_of: Callable[[str, int], str] = linecache.getline
) -> str:
    """Return what a failed proof says: how many rules are broken, then each finding.

    Args:
        findings: Findings that fail the proof, not empty.
        line_of: Returns a line of a source file.
    """
    rules = list(dict.fromkeys(finding.rule for finding in findings))
    verb = "rule is" if len(rules) == 1 else "rules are"
    head = f"torchproof: {len(rules)} {verb} broken: {', '.join(rules)}"
    return "\n\n".join([head, *(_paragraph(finding, line_of) for finding in findings)])


def not_judged(skipped: Mapping[str, str], *, verbose: bool) -> str:
    """Return what a failed proof says of rules that could not be judged: why, or only which."""
    if verbose:
        return "\n".join(f"{rule}: {why}" for rule, why in skipped.items())
    return f"{', '.join(skipped)} (-v says why)"


def _paragraph(finding: Any, line_of: Callable[[str, int], str]) -> str:
    evidence = ", ".join(f"{name} = {_value(value)}" for name, value in finding.evidence.items())
    waiver = f'waive={{"{finding.rule}": "why this is meant"}}'
    rows = [
        f"{finding.severity} [{finding.rule}]: {finding.message}",
        *_source(finding.location, line_of),
        f"  evidence: {evidence}" if evidence else "",
        f"  remedy:   {finding.remedy}" if finding.remedy else "",
        f"  accept:   torchproof.Trainee(..., {waiver})",
    ]
    return "\n".join(row for row in rows if row)


def _source(location: Optional[str], line_of: Callable[[str, int], str]) -> list[str]:
    """Return the place and the underlined source line."""
    path, _, number = (location or "").rpartition(":")
    if not number.isdecimal():
        return [f"  at {location}"] if location else []
    code = line_of(path, int(number)).strip()
    if not code:
        return [f"  at {location}"]
    margin = " " * len(number)
    return [f"  at {location}", f"  {number} | {code}", f"  {margin} | {'^' * len(code)}"]


def _value(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"
