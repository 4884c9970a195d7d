"""Tests that failed, appeared, vanished, or stopped running."""

import pytest
from tests.samples import outcome, record

from torchproof.verdict import judge


def states(verdict):
    return {row.name.rpartition("::")[2]: row.state for row in verdict.rows}


@pytest.mark.parametrize(
    ("before", "now", "state"),
    [
        ("passed", "passed", "same"),
        ("passed", "failed", "failed"),
        ("failed", "failed", "failed"),
        ("failed", "passed", "fixed"),
        ("passed", "error", "failed"),
        ("passed", "xpassed", "failed"),
        ("passed", "xfailed", "same"),
        ("passed", "skipped", "skipped"),
        ("skipped", "skipped", "same"),
        ("skipped", "passed", "better"),
        ("passed", "not-run", "not-run"),
    ],
)
def test_a_test_is_judged_against_its_baseline(before, now, state):
    verdict = judge([record(outcome("test_a", now))], [record(outcome("test_a", before))])
    assert states(verdict) == {"test_a": state}
    assert verdict.passed is (state != "failed")


def test_a_test_that_the_baseline_lacks_is_new():
    verdict = judge([record(outcome("test_a"), outcome("test_b"))], [record(outcome("test_a"))])
    assert states(verdict) == {"test_b": "new", "test_a": "same"}


def test_a_test_that_is_gone_is_dropped_and_does_not_gate():
    verdict = judge([record(outcome("test_a"))], [record(outcome("test_a"), outcome("test_b"))])
    assert states(verdict)["test_b"] == "dropped"
    assert verdict.passed


def test_a_crashed_run_drops_nothing():
    crashed = record(outcome("test_a"), state="crashed", reason="was killed", exit_code=-9)
    verdict = judge([crashed], [record(outcome("test_a"), outcome("test_b"))])
    assert "dropped" not in verdict.counts


def test_without_a_baseline_tests_pass_or_fail_and_nothing_is_new():
    verdict = judge([record(outcome("test_a"), outcome("test_b", "failed"))], [])
    assert states(verdict) == {"test_b": "failed", "test_a": "passed"}
    assert verdict.compared == ()


def test_a_failure_of_the_baseline_is_said_and_comes_after_a_new_one():
    tests = [outcome("test_a", "failed"), outcome("test_b", "failed")]
    verdict = judge([record(*tests)], [record(tests[0], outcome("test_b"))])
    new, old = verdict.rows
    assert new.name.endswith("test_b")
    assert old.why == "fails on the baseline too"


def test_of_several_seeds_the_worst_counts():
    runs = [record(outcome("test_a", end), seed=i) for i, end in enumerate(("passed", "failed"))]
    (row,) = judge(runs, [record(outcome("test_a"))]).rows
    assert (row.state, row.why) == ("failed", "in 1 of 2 runs")


def test_tiers_that_the_head_did_not_run_are_not_compared():
    base = [record(outcome("test_a")), record(outcome("test_gpu"), tier="overfit")]
    assert states(judge([record(outcome("test_a"))], base)) == {"test_a": "same"}


def test_a_test_that_needed_several_attempts_says_so():
    (row,) = judge([record(outcome("test_a", attempts=3))], [record(outcome("test_a"))]).rows
    assert (row.state, row.why) == ("same", "at attempt 3")
