"""Makes the shared programs importable and the rules' tests short."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import torchproof


sys.path.insert(0, str(Path(__file__).parent))


def line_of(finding):
    """Return the text of the line that a finding points at."""
    path, _, number = finding.location.rpartition(":")
    return Path(path).read_text().splitlines()[int(number) - 1]


@pytest.fixture
def caught():
    """Prove one rule; return its only finding, mostly an error, and the line it points at."""

    def prove(rule, build, *, severity="error"):
        proof = torchproof.prove(build, rules=[rule])
        assert not proof.skipped
        (finding,) = proof.findings
        assert (finding.rule, finding.severity) == (rule, severity)
        assert proof.passed == (severity == "warning")
        return finding, line_of(finding) if finding.location else None

    return prove
