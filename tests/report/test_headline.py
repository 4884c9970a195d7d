"""The first line: what a change broke is named in it, and that data changed, too."""

from __future__ import annotations

import pytest
from tests.samples import CPU, ENVIRONMENT, HEAD, curve, finding, metric, outcome, record

from torchproof.behaviour.capability import capability
from torchproof.behaviour.kinds import Limits
from torchproof.behaviour.kinds import judge as answers
from torchproof.report import Context, comment, compose
from torchproof.verdict import judge


DIGITS = {"environment": ENVIRONMENT, "hardware": CPU}


def first_line(head, base=()):
    base = [base] if base else []
    made = compose(judge([head], base), [head], base, Context(head_sha=HEAD, base="b" * 40))
    return comment(made).split("\n", 1)[0]


def data(*items, **versions):
    return record(*items, fingerprint={**DIGITS, "data": versions})


def failed(name, wrong, total):
    """Return the outcome of a behaviour test of so many inputs, and its metrics."""
    given = answers(
        "MFT",
        lambda inputs: [each < wrong for each in inputs],
        list(range(total)),
        expect=False,
        limits=Limits(),
    )
    found = capability(
        name, "MFT", given, slices={"half": [n % 2 == 0 for n in range(total)]}, allow=0
    )
    rates = {f"behaviour/{name}": found.rate, f"behaviour/{name}/half": found.slices["half"]}
    return [
        outcome("test_it", "failed", message=f"torchproof: {found}"),
        *(
            metric(key, rate.value, test="test_it", better="lower", tolerance=0.01)
            for key, rate in rates.items()
        ),
    ]


def before(name):
    return [
        metric(f"behaviour/{name}{part}", 0.0, test="test_it", better="lower", tolerance=0.01)
        for part in ("", "/half")
    ]


def test_where_nothing_is_decided_no_check_passes():
    before, now = (record(curve([1.0, end])) for end in (0.5, 0.4))
    assert first_line(now, before) == "### ✅ torchproof: 1 undecided"


def test_an_architecture_that_changed_says_how():
    changed = finding(
        "architecture-changed",
        test="test_model",
        message="digit-net: function changed: relu → leaky_relu in conv1",
    )
    assert first_line(record(changed)) == (
        "### ❌ torchproof: 1 of 1 check fails: the architecture "
        "`digit-net: function changed: relu → leaky_relu in conv1`"
    )


@pytest.mark.parametrize(
    ("wrong", "total", "rate"), [(12, 100, "12"), (1, 1, "100"), (1, 800, "0.12")]
)
def test_a_capability_that_is_lost_says_how_often_it_fails(wrong, total, rate):
    line = first_line(record(failed("negation (of two)", wrong, total)[0]))
    assert line == (
        "### ❌ torchproof: 1 of 1 check fails: the capability `negation (of two)` fails for "
        f"{rate} % of its inputs"
    )


def test_the_rates_of_a_capability_that_is_lost_are_not_named_again():
    worse = metric("val/accuracy", 0.5, tolerance=0.01)
    head = record(*failed("negation", 50, 100), worse)
    base = record(*before("negation"), metric("val/accuracy", 0.9, tolerance=0.01))
    assert first_line(head, base) == (
        "### ❌ torchproof: 4 of 5 checks fail: the capability `negation` fails for 50 % of its "
        "inputs, `val/accuracy` is worse and 2 more"
    )


def test_where_nothing_else_is_broken_they_are_counted_only():
    head = record(*failed("negation", 50, 100))
    assert first_line(head, record(*before("negation"))) == (
        "### ❌ torchproof: 3 of 3 checks fail: the capability `negation` fails for 50 % of its "
        "inputs and 2 more"
    )


def test_the_rate_of_a_capability_that_its_test_allows_is_named():
    base = record(*before("negation"))
    head = record(*failed("negation", 50, 100)[1:])
    assert "`behaviour/negation` is worse" in first_line(head, base)


def test_a_message_of_the_users_own_names_the_test():
    told = outcome("test_it", "failed", message="torchproof: x (MFT): all 3 inputs fail")
    assert first_line(record(told)).endswith("fails: `test_it`")


def test_data_of_another_version_are_said_beside_what_is_worse():
    head = data(metric(value=0.5, tolerance=0.01), digits="v2", other="v1")
    base = data(metric(value=0.9, tolerance=0.01), digits="v1", other="v1")
    assert first_line(head, base) == (
        "### ❌ torchproof: 1 of 2 checks fails: `val/accuracy` is worse; data changed"
    )


def test_data_of_another_version_are_said_where_all_is_well():
    items = outcome("test_a"), metric(value=0.9, tolerance=0.01)
    line = first_line(data(*items, digits="v2"), data(*items, digits="v1"))
    assert line == "### ✅ torchproof: 3 checks pass, data changed"


@pytest.mark.parametrize(("now", "then"), [({}, {"digits": "v1"}), ({"digits": "v1"}, {})])
def test_data_that_one_side_has_recorded_alone_have_not_changed(now, then):
    assert "data" not in first_line(data(outcome("test_a"), **now), data(outcome("test_a"), **then))


def test_metrics_without_a_tolerance_that_are_bit_equal_say_that_nothing_more_was_run():
    same = record(metric("loss", 0.25, better="lower"), metric(value=0.9, tolerance=0.01))
    assert first_line(same, same) == (
        "### ✅ torchproof: 3 checks pass, metrics bit-equal to the baseline: no further run"
    )


@pytest.mark.parametrize(
    "other",
    [
        metric("val/accuracy", 0.901, tolerance=0.01),
        metric("loss/b", 0.26, better="lower"),
        curve([2.0, 0.01]),
    ],
)
def test_as_long_as_any_number_moved_it_does_not(other):
    loss = metric("loss", 0.25, better="lower")
    base = record(
        loss, metric(value=0.9, tolerance=0.01), metric("loss/b", 0.25, better="lower"), curve()
    )
    kept = [each for each in (*base.metrics, *base.curves) if each.name != other.name]
    assert "metrics bit-equal" not in first_line(record(*kept, other), base)


def test_metrics_that_all_have_a_tolerance_say_nothing_of_further_runs():
    same = record(metric(value=0.9, tolerance=0.01))
    assert first_line(same, same) == "### ✅ torchproof: 2 checks pass"
