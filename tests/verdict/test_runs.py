"""Runs that died, were cancelled, collected nothing, or have not come back."""

import pytest
from tests.samples import outcome, record

from torchproof.record import Record
from torchproof.verdict import Waiting, judge


def test_a_crashed_run_is_one_failed_row_that_names_the_test_it_died_in():
    crashed = record(
        outcome("test_a"),
        outcome("test_b", "crashed"),
        outcome("test_c", "not-run"),
        state="crashed",
        reason="the test process was killed by SIGSEGV while running test_b",
        exit_code=-11,
    )
    verdict = judge([crashed], [])
    (row,) = (row for row in verdict.rows if row.state == "failed")
    assert (row.kind, row.now, row.why) == ("run", "crashed", "1 test did not run")
    assert row.test.endswith("test_b")
    assert "SIGSEGV" in row.message
    assert verdict.checks["failing"] == 1


@pytest.mark.parametrize("state", ["crashed", "timed-out", "cancelled", "not-run"])
def test_a_run_that_is_not_complete_fails(state):
    verdict = judge([Record(tier="unit", state=state, reason="why")], [])
    assert not verdict.passed
    assert verdict.rows[0].message == "why"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (1, "pytest failed the run without a failing test"),
        (2, "pytest was interrupted, or could not collect the tests"),
        (5, "no test was collected"),
        (137, "the test process was killed by SIGKILL (out of memory, or killed from outside)"),
    ],
)
def test_a_bad_exit_code_without_a_failing_test_fails(code, why):
    (row,) = judge([Record(tier="unit", state="complete", exit_code=code)], []).rows
    assert (row.state, row.why) == ("failed", why)


def test_a_tier_without_tests_is_nothing_to_complain_of_when_another_tier_ran():
    empty = Record(tier="overfit", state="complete", exit_code=5)
    assert judge([record(outcome("test_a")), empty], []).passed


def test_a_tier_that_lost_all_its_tests_fails():
    empty = Record(tier="overfit", state="complete", exit_code=5)
    base = [record(outcome("test_one_batch"), tier="overfit")]
    assert not judge([record(outcome("test_a")), empty], base).passed


def test_a_tier_that_runs_elsewhere_is_queued_and_keeps_the_verdict_open():
    verdict = judge([record(outcome("test_a"))], [], waiting=[Waiting(tier="overfit")])
    assert verdict.pending
    assert verdict.passed
    assert verdict.word == "undecided"


def test_a_refused_tier_is_not_run_and_says_why():
    refused = [Waiting(tier="overfit", why="a fork never reaches the GPU runner")]
    row = judge([record(outcome("test_a"))], [], refused=refused).rows[0]
    assert (row.state, row.why) == ("not-run", "a fork never reaches the GPU runner")


def test_nothing_at_all_is_not_a_pass():
    assert not judge([], []).passed


def test_a_record_that_did_not_pass_never_makes_a_verdict_that_does():
    codes = (0, 1, 2, 5, -11)
    ends = ("passed", "failed", "error", "xpassed", "crashed")
    for code in codes:
        for end in ends:
            run = record(outcome("test_a", end), exit_code=code)
            if not run.passed:
                assert not judge([run], [run]).passed
