"""The step's outputs, for whatever a workflow does next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from torchproof.report.phrase import plain


if TYPE_CHECKING:
    from torchproof.report.model import Report


def outputs(report: Report, *, comment_url: str = "") -> dict[str, str]:
    """Return the outputs by name; each value is one line without control characters."""
    verdict = report.verdict
    findings = [row for row in verdict.rows if row.kind == "finding" and row.state == "failed"]
    return {
        "passed": json.dumps(verdict.passed),
        "verdict": verdict.word,
        "headline": f"{report.icon} {plain(report.headline)}",
        "checks": str(sum(verdict.checks.values())),
        "failed": str(verdict.checks["failing"]),
        "worse": str(verdict.counts.get("worse", 0)),
        "undecided": str(verdict.checks["undecided"]),
        "findings": str(len(findings)),
        "pending": json.dumps(verdict.pending),
        "comment-url": comment_url,
    }
