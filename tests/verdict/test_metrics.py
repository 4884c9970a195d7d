"""Numbers: direction, tolerance, and everything that must not pass for "no change"."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import GPU, metric, outcome, record

from torchproof.verdict import judge


finite = st.floats(-1e6, 1e6)


def judged(head, base=(), **fields):
    """Judge one metric; an argument is a metric, or the items of a record."""
    pack = [head] if not isinstance(head, (list, tuple)) else head
    past = [base] if not isinstance(base, (list, tuple)) else base
    verdict = judge([record(*pack, **fields)], [record(*past)] if past else [])
    (row,) = (row for row in verdict.rows if row.kind == "metric")
    return row


@pytest.mark.parametrize(
    ("better", "before", "now", "state"),
    [
        ("higher", 0.90, 0.89, "same"),
        ("higher", 0.90, 0.87, "worse"),
        ("higher", 0.90, 0.93, "better"),
        ("lower", 0.90, 0.93, "worse"),
        ("lower", 0.90, 0.87, "better"),
        ("higher", 0.93, 0.91, "same"),  # exactly the tolerance, which 0.93 - 0.02 is not in binary
    ],
)
def test_a_change_is_held_against_direction_and_tolerance(better, before, now, state):
    head = metric(value=now, better=better, tolerance=0.02)
    assert judged(head, metric(value=before, better=better)).state == state


def test_a_relative_tolerance_is_one_of_the_base():
    row = judged(metric(value=97.9, tolerance="2%"), metric(value=100.0))
    assert (row.state, row.limit, row.why) == ("worse", "≥98", "2.1 % lower")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_fails_even_where_the_baseline_has_it_too(value):
    for base in ((), metric(value=0.9), metric(value=value)):
        assert judged(metric(value=value, tolerance=0.1), base).state == "failed"


def test_a_number_that_is_finite_again_is_fixed():
    assert judged(metric(value=0.9), metric(value=math.nan)).state == "fixed"


@pytest.mark.parametrize(
    ("end", "state"),
    [
        ("passed", "failed"),
        ("skipped", "failed"),
        ("failed", "not-run"),
        (None, "failed"),
    ],
)
def test_a_metric_that_vanished_fails_unless_its_test_already_does(end, state):
    head = [outcome("test_quality", end)] if end else [outcome("test_other")]
    row = judged(head, metric())
    assert (row.state, row.now) == (state, "missing")


def test_a_metric_that_one_of_several_runs_lacks_fails():
    runs = [record(metric(tolerance=1.0)), record(outcome("test_quality"), seed=1)]
    verdict = judge(runs, [record(metric())])
    assert verdict.rows[0].why == "missing in 1 of 2 runs although the test passed"


def test_a_changed_unit_or_direction_fails():
    assert judged(metric(unit="ms"), metric(unit="ratio")).message == "ratio → ms"
    turned = judged(metric(better="lower"), metric(better="higher"))
    assert (turned.state, turned.why) == ("failed", "its direction changed: higher → lower")


def test_without_a_direction_a_metric_is_shown_and_never_judged():
    assert judged(metric(value=1.0, better=None), metric(value=9.0, better=None)).state == "shown"


def test_without_a_tolerance_a_change_is_undecided_and_does_not_gate():
    row = judged(metric(value=0.90), metric(value=0.93))
    assert row.state == "undecided"
    assert "one run cannot tell this from noise; set tolerance=" in row.why
    assert judged(metric(value=0.93), metric(value=0.93)).state == "same"


def test_a_default_tolerance_serves_metrics_that_name_none():
    runs = [record(metric(value=0.90))], [record(metric(value=0.93))]
    assert judge(*runs, tolerance=0.05).counts["undecided"] == 0
    assert judge(*runs, tolerance="1%").counts["worse"] == 1


def test_of_several_runs_the_means_are_compared_and_counted():
    head = [record(metric(value=v, seed=s, tolerance=0.01)) for s, v in enumerate((0.90, 0.94))]
    base = [record(metric(value=v)) for v in (0.91, 0.92, 0.93)]
    row = judge(head, base).rows[0]
    assert (row.before, row.now, row.state) == ("0.92", "0.92", "same")
    assert row.why == "mean of 2 runs against 3 runs"


def test_other_hardware_or_another_torch_is_not_comparable():
    head = record(metric(tolerance=0.01, value=0.5), outcome("test_a", "failed"))
    old = {"environment": {"torch": "2.12.0", "python": "3.11.2"}, "hardware": GPU}
    verdict = judge([head], [record(metric(), outcome("test_a"), fingerprint=old)])
    row = next(row for row in verdict.rows if row.kind == "metric")
    assert row.state == "not-comparable"
    assert "device cuda → cpu; " in row.message
    assert row.message.endswith("torch 2.12.0 → 2.13.0")
    assert verdict.counts["failed"] == 1, "tests are judged all the same"


def test_another_cpu_model_or_patch_version_of_python_is_comparable():
    near = {
        "environment": {"torch": "2.13.0", "python": "3.11.2"},
        "hardware": {"device": "cpu", "arch": "x86_64", "cpu": "another"},
    }
    assert judge([record(metric())], [record(metric(), fingerprint=near)]).comparable


@pytest.mark.parametrize("unit", ["s", "ms", "images/s", "tokens per second"])
def test_times_and_throughputs_are_never_compared(unit):
    row = judged(metric(value=9.0, unit=unit, tolerance=0.1), metric(value=1.0, unit=unit))
    assert (row.state, row.why) == ("shown", "times are not compared between runs")


def test_a_tolerance_that_cannot_be_read_fails_instead_of_passing_everything():
    assert judged(metric(tolerance="two percent"), metric()).state == "failed"


def test_a_change_that_moves_its_own_tolerance_is_told():
    row = judged(metric(value=0.8, tolerance=0.5), metric(value=0.9, tolerance=0.01))
    assert (row.state, row.why) == ("same", "this change also changes the tolerance")


def test_two_numbers_are_written_with_the_digits_that_tell_them_apart():
    row = judged(metric(value=0.9300001, tolerance=1), metric(value=0.93))
    assert (row.before, row.now) == ("0.93", "0.9300001")


def test_the_largest_change_comes_first():
    head = [metric(f"m{i}", value, tolerance=0.01) for i, value in enumerate((0.8, 0.5, 0.7))]
    verdict = judge([record(*head)], [record(*(metric(f"m{i}", 0.9) for i in range(3)))])
    assert [row.name for row in verdict.rows if row.state == "worse"] == ["m1", "m2", "m0"]


@pytest.mark.parametrize("value", [1.7e308, -1.7e308, 5e-324, 0.0, 1e22])
def test_numbers_at_the_edge_of_floats_are_compared_and_written_short(value):
    runs = [record(metric(value=value, tolerance="1%", seed=seed)) for seed in (0, 1)]
    row = judge(runs, [record(metric(value=-value))]).rows[0]
    assert row.state in ("worse", "better", "same")
    assert len(row.now) < 12


@given(before=finite, now=finite, tolerance=st.floats(0, 10))
def test_swapping_head_and_base_swaps_worse_and_better(before, now, tolerance):
    there = judged(metric(value=now, tolerance=tolerance), metric(value=before)).state
    back = judged(metric(value=before, tolerance=tolerance), metric(value=now)).state
    assert {there, back} in ({"worse", "better"}, {"same"})


@given(before=finite, now=finite, tolerance=st.floats(0, 10))
def test_turning_the_direction_swaps_worse_and_better(before, now, tolerance):
    turned = {"worse": "better", "better": "worse", "same": "same"}
    high, low = (
        judged(
            metric(value=now, tolerance=tolerance, better=better),
            metric(value=before, better=better),
        ).state
        for better in ("higher", "lower")
    )
    assert low == turned[high]
