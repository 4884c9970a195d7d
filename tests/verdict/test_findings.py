"""Broken rules, accepted ones, and state that leaks."""

from tests.samples import finding, leak, outcome, record

from torchproof.verdict import judge


def row_of(verdict, kind="finding"):
    (row,) = (row for row in verdict.rows if row.kind == kind)
    return row


def test_an_error_fails_and_carries_place_and_remedy():
    verdict = judge([record(finding())], [record(outcome("test_training"))])
    row = row_of(verdict)
    assert (row.state, row.before, row.now) == ("failed", "clean", "found")
    assert row.location == "digits/model.py:31"
    assert row.remedy.startswith("Use running statistics")
    assert not verdict.passed


def test_a_test_that_fails_by_its_findings_is_one_check_and_has_no_row_of_its_own():
    failed = record(outcome("test_training", "failed"), finding(), finding("stale-gradients"))
    verdict = judge([failed], [])
    assert [row.kind for row in verdict.rows] == ["finding", "finding"]
    assert sum(verdict.checks.values()) == 1


def test_a_finding_of_the_baseline_still_fails_and_says_so():
    row = row_of(judge([record(finding())], [record(finding())]))
    assert (row.state, row.why) == ("failed", "on the baseline too")


def test_a_finding_that_is_gone_is_fixed_when_its_test_still_passes():
    head = record(outcome("test_training"))
    assert row_of(judge([head], [record(finding())])).state == "fixed"
    assert "fixed" not in judge([record(outcome("test_x"))], [record(finding())]).counts


def test_a_waived_finding_is_shown_with_its_reason_and_does_not_gate():
    verdict = judge([record(finding(waived="a batch norm by design"))], [])
    assert row_of(verdict).state == "waived"
    assert row_of(verdict).message == "a batch norm by design"
    assert verdict.passed


def test_a_warning_is_shouted_once_and_then_counts_as_unchanged():
    warning = finding(severity="warning")
    new = row_of(judge([record(warning)], [record(outcome("test_training"))]))
    old = row_of(judge([record(warning)], [record(warning)]))
    assert (new.state, new.changed) == ("warning", True)
    assert (old.state, old.changed) == ("warning", False)


def test_what_several_seeds_found_in_one_place_is_one_finding():
    verdict = judge([record(finding(), seed=0), record(finding(), seed=1)], [])
    assert verdict.counts == {"failed": 1, "passed": 1}


def test_a_leak_is_a_warning():
    verdict = judge([record(leak())], [record(outcome("test_training"))])
    assert row_of(verdict, "leak").state == "warning"
    assert verdict.passed


def test_an_error_is_not_hidden_by_a_warning_of_the_same_rule_in_the_same_place():
    assert not judge([record(finding(), finding(severity="warning"))], []).passed
