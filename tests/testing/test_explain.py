"""What a failed proof says."""

from __future__ import annotations

from torchproof.proofs.finding import Finding
from torchproof.testing.explain import explain, not_judged


def test_a_finding_shows_sentence_line_evidence_remedy_and_waiver():
    finding = Finding(
        "stale-gradients",
        "error",
        "gradients of the step before are used again",
        evidence={"parameters": 4, "largest": 0.25},
        location="train.py:12",
        remedy="optimizer.zero_grad()",
    )
    text = explain([finding], line_of=lambda path, line: "    loss.backward()\n")
    assert text == (
        "torchproof: 1 rule is broken: stale-gradients\n"
        "\n"
        "error [stale-gradients]: gradients of the step before are used again\n"
        "  at train.py:12\n"
        "  12 | loss.backward()\n"
        "     | ^^^^^^^^^^^^^^^\n"
        "  evidence: parameters = 4, largest = 0.25\n"
        "  remedy:   optimizer.zero_grad()\n"
        '  accept:   torchproof.Trainee(..., waive={"stale-gradients": "why this is meant"})'
    )


def test_all_findings_are_shown_and_an_unknown_line_is_left_out():
    findings = [Finding("one", "error", "first"), Finding("two", "error", "second", location="x:3")]
    text = explain(findings, line_of=lambda path, line: "")
    assert text.splitlines()[0] == "torchproof: 2 rules are broken: one, two"
    assert "  at x:3\n  accept:" in text


def test_a_rule_that_is_broken_twice_is_one_rule():
    findings = [Finding("one", "error", "first"), Finding("one", "error", "second")]
    assert explain(findings).splitlines()[0] == "torchproof: 1 rule is broken: one"


def test_what_was_not_judged_is_named_and_explained_on_request():
    skipped = {"causality": "no sequence", "resume": "no optimizer"}
    assert not_judged(skipped, verbose=False) == "causality, resume (-v says why)"
    assert not_judged(skipped, verbose=True) == "causality: no sequence\nresume: no optimizer"
