"""How a regression goes on."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchproof.verdict.course import course, last_change


NAN = float("nan")


def noise(count, level=0.0, seed=0):
    source = random.Random(f"{seed} {level}")
    return [source.gauss(level, 1) for _ in range(count)]


def spiky(count, level, seed):
    source = random.Random(f"{seed} {level}")
    return [source.gauss(level, 5 if source.random() < 0.05 else 1) for _ in range(count)]


def test_a_metric_that_stays_worse_is_not_back():
    assert course(noise(30) + noise(30, 3.0), 30, better="lower") == [30]


def test_a_metric_that_returns_to_its_level_is_back_there():
    _, back = course(noise(30) + noise(12, 3.0) + noise(12, 0.1), 30, better="lower")
    assert abs(back - 42) <= 2


def test_a_short_regression_is_over_as_well():
    _, back = course(noise(30) + noise(3, 6.0) + noise(4), 30, better="lower")
    assert back == 33


def test_what_is_worse_again_is_a_third_turn():
    values = noise(30) + noise(8, 8.0) + noise(8, 0.1) + noise(6, 8.1)
    assert course(values, 30, better="lower") == [30, 38, 46]


def test_direction_does_not_matter():
    values = noise(30) + noise(12, 3.0) + noise(12, 0.1)
    mirrored = [-value for value in values]
    assert course(values, 30, better="lower") == course(mirrored, 30, better="higher")


def test_a_small_step_for_the_better_is_not_enough():
    values = noise(30) + noise(20, 6.0) + noise(20, 4.2)
    assert course(values, 30, better="lower") == [30]


@pytest.mark.parametrize("before", [10, 0])
@pytest.mark.parametrize("missing", [NAN, None])
def test_a_number_again_is_back_where_there_was_none(missing, before):
    values = [*noise(before), missing, missing, 0.1]
    assert course(values, before, better="lower") == [before, before + 2]
    assert course(values[:-1], before, better="lower") == [before]


@pytest.mark.parametrize("series", [noise, spiky])
@pytest.mark.parametrize(("step", "runs"), [(1.0, 150), (2.0, 300), (4.0, 1500)])
def test_a_wrong_turn_is_rare(series, step, runs):
    """Nothing changes behind the step: at most one wrong turn in so many runs."""
    turns = 0
    for seed in range(60):
        values = series(40, 0.0, seed) + series(100, step, seed)
        turns += len(course(values, 40, better="lower")) - 1
    assert turns / 6000 <= 1 / runs


@pytest.mark.parametrize(("step", "delay"), [(1.0, 16), (2.0, 8), (4.0, 4)])
def test_the_way_back_is_seen_soon(step, delay):
    waits = []
    for seed in range(40):
        values = noise(40, seed=seed) + noise(20, step, seed) + noise(60, 0.01, seed)
        seen = (at for at in range(61, 121) if len(course(values[:at], 40, better="lower")) == 2)
        waits.append(next(seen, 121) - 60)
    assert sorted(waits)[20] <= delay


@given(
    values=st.lists(st.none() | st.floats(-1e38, 1e38) | st.just(NAN), min_size=1, max_size=60),
    data=st.data(),
)
def test_turns_lie_in_order_inside_the_history(values, data):
    since = data.draw(st.integers(0, len(values) - 1))
    turns = course(values, since, better="lower")
    assert turns[0] == since
    assert turns == sorted(turns)
    assert turns[-1] < len(values)


def test_the_last_change_is_where_the_present_level_begins():
    assert last_change(noise(30), better="lower") == 0
    assert abs(last_change(noise(30) + noise(20, 4.0), better="lower") - 30) <= 1
    assert abs(last_change(noise(30) + noise(20, -4.0), better="lower") - 30) <= 1
