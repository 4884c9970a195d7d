"""The overfit loss against the baseline's."""

import math

from tests.samples import CPU, curve, decay, outcome, plateau, record

from torchproof.verdict import judge


def judged(head, *base, end="passed"):
    test = outcome("test_one_batch", end)
    verdict = judge([record(test, head)], [record(*base)] if base else [])
    return next(row for row in verdict.rows if row.kind == "curve")


def test_a_bit_equal_curve_says_that_training_did_not_change():
    row = judged(curve(), curve())
    assert (row.state, row.why) == ("same", "bit-equal: training did not change")


def test_one_changed_bit_is_undecided_and_names_the_step():
    values = decay(60)
    values[17] = math.nextafter(values[17], 0)
    row = judged(curve(values), curve())
    assert row.state == "undecided"
    assert "from step 17 on" in row.why


def test_a_batch_that_was_learnt_before_and_is_not_now_is_worse():
    row = judged(curve(plateau(60), converged=False), curve())
    assert (row.state, row.before, row.now) == ("worse", "0.004 @ 60 steps", "0.711 @ 60 steps")


def test_a_loss_that_is_not_finite_fails_with_or_without_a_baseline():
    broken = curve([1.0, 0.5, math.nan], converged=False)
    assert judged(broken).why == "the loss is not finite at step 2"
    assert judged(broken, broken).state == "failed"


def test_a_run_that_failed_its_test_stands_for_the_test():
    row = judged(curve(plateau(9), converged=False, reason="above 0.05"), end="failed")
    assert (row.state, row.message) == ("failed", "above 0.05")


def test_without_a_baseline_a_curve_is_shown():
    assert judged(curve()).state == "shown"


def test_a_curve_that_is_gone_fails():
    row = next(iter(judge([record(outcome("test_one_batch"))], [record(curve())]).rows))
    assert (row.kind, row.state, row.now) == ("curve", "failed", "missing")


def test_a_curve_from_another_device_is_not_comparable():
    other = {"environment": {}, "hardware": {**CPU, "device": "cuda"}}
    verdict = judge([record(curve())], [record(curve(), fingerprint=other)])
    assert next(row for row in verdict.rows if row.kind == "curve").state == "not-comparable"
