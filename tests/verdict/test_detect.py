"""Change points in a metric's history, as they became known."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchproof.errors import UsageError
from torchproof.verdict import detect, strays


def series(*levels, seed=0, noise=1.0):
    """Return twenty runs at each level."""
    source = random.Random(seed)
    return [level + source.gauss(0, noise) for level in levels for _ in range(20)]


def test_a_step_of_three_sigma_is_seen_and_placed_within_a_few_runs():
    (point,) = detect(series(100, 103), better="lower")
    assert abs(point.index - 20) <= 1
    assert point.since == point.index
    assert point.seen <= 26
    assert point.size == pytest.approx(3, abs=1.2)
    assert point.sigma == pytest.approx(1, abs=0.4)
    assert point.why == "shift"


def test_a_step_for_the_better_is_no_alarm():
    assert detect(series(103, 100), better="lower") == []
    assert detect(series(100, 103), better="higher") == []


def test_higher_is_better_turns_everything_round():
    lower = detect(series(100, 103, 100), better="lower")
    higher = detect([-value for value in series(100, 103, 100)], better="higher")
    assert [point.index for point in higher] == [point.index for point in lower]
    assert higher[0].size == pytest.approx(-lower[0].size)


def test_two_steps_without_a_recovery_are_worse_since_the_first():
    first, second = detect(series(100, 104, 108), better="lower")
    assert abs(second.index - 40) <= 1
    assert second.since == first.index


def test_a_step_after_a_recovery_is_worse_since_itself():
    _, second = detect(series(100, 104, 100, 104), better="lower")
    assert second.since == second.index
    assert abs(second.index - 60) <= 1


@pytest.mark.parametrize(
    ("value", "why"), [(math.nan, "not-finite"), (math.inf, "not-finite"), (None, "missing")]
)
def test_a_run_without_a_number_is_an_alarm_at_once_and_only_once(value, why):
    (point,) = detect([1.0, 1.1, value, value, 1.0], better="lower")
    assert (point.index, point.since, point.seen, point.why) == (2, 2, 2, why)
    assert math.isnan(point.size)


def test_runs_without_a_number_do_not_hide_a_step():
    values = series(100, 103)
    values[5:5] = [math.nan] * 3
    assert [point.why for point in detect(values, better="lower")] == ["not-finite", "shift"]


def test_two_runs_far_out_are_an_alarm_and_one_is_a_stray():
    values = [*series(100), 120.0, 121.0]
    (point,) = detect(values, better="lower")
    assert (point.index, point.seen, point.why) == (20, 21, "collapse")
    assert detect(values[:-1], better="lower") == []
    assert strays(values[:-1], better="lower") == [20]


def test_a_metric_that_repeats_exactly_is_watched_too():
    assert detect([0.5] * 300, better="lower") == []
    (point,) = detect([0.5] * 20 + [0.6] * 5, better="lower")
    assert point.index == 20
    assert point.size == pytest.approx(0.1)


def test_nothing_comes_of_nothing():
    assert detect([], better="lower") == []
    assert detect([1.0], better="higher") == []


def test_a_wrong_direction_or_rate_is_one_sentence():
    with pytest.raises(UsageError, match="better is 'smaller'"):
        detect([1.0], better="smaller")
    with pytest.raises(UsageError, match="alpha is 2"):
        detect([1.0], better="lower", alpha=2)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-5, 5), max_size=60), st.integers(0, 60))
def test_what_is_said_of_a_prefix_stays_said(values, length):
    whole = detect([float(value) for value in values], better="lower", alpha=0.05)
    prefix = detect([float(value) for value in values[:length]], better="lower", alpha=0.05)
    assert prefix == [point for point in whole if point.seen < length]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(0.001, 1000), st.floats(-1000, 1000))
def test_the_unit_of_the_metric_does_not_matter(seed, factor, offset):
    values = series(0, 2, 0, seed=seed)
    moved = [factor * value + offset for value in values]
    expected = [(p.index, p.seen) for p in detect(values, better="lower")]
    assert [(p.index, p.seen) for p in detect(moved, better="lower")] == expected


def noise(kind, source):
    if kind == "gauss":
        return source.gauss(0, 1)
    if kind == "t3":
        return source.gauss(0, 1) / math.sqrt(source.gammavariate(1.5, 2) / 3)
    return source.gauss(0, 1) + (source.choice((-8, 8)) if source.random() < 0.02 else 0)


@pytest.mark.parametrize("kind", ["gauss", "t3", "spikes"])
@pytest.mark.parametrize("alpha", [0.02, 0.005])
def test_false_alarms_keep_to_alpha_whatever_the_noise(kind, alpha):
    source = random.Random(f"{kind}{alpha}")
    runs = [[noise(kind, source) for _ in range(300)] for _ in range(80)]
    rate = sum(len(detect(each, better="lower", alpha=alpha)) for each in runs) / (80 * 300)
    assert rate == pytest.approx(alpha, rel=0.35)
