"""Which stored runs of main show the noise."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from torchproof.verdict.replicates import Run, independent, level


def runs(count, *, level=0.0, first_seed=0, source=None):
    source = source or random.Random(count)
    return [Run(first_seed + n, level + source.gauss(0, 1)) for n in range(count)]


def test_runs_of_different_seeds_all_count():
    stored = runs(20)
    assert independent(stored) == stored


def test_equal_runs_of_one_seed_count_once():
    stored = runs(3)
    assert independent([*stored, *stored, *stored]) == stored


def test_runs_of_one_seed_that_lie_close_together_count_once_each():
    stored = runs(10)
    again = [Run(run.seed, run.value + 1e-3) for run in stored]
    assert independent([*stored, *again]) == again, "the newest stand for the others"


def test_runs_of_one_seed_that_lie_as_far_apart_as_others_count_separately():
    source = random.Random(3)
    histories = [[Run(n % 3, source.gauss(0, 1)) for n in range(21)] for _ in range(50)]
    assert sum(independent(stored) == stored for stored in histories) / 50 >= 0.7


def correlated(rho, count, source):
    """Return a main whose every night has a run of seed 0, and one of a fresh seed."""
    common = source.gauss(0, 1)
    own = [rho**0.5 * common + (1 - rho) ** 0.5 * source.gauss(0, 1) for _ in range(count)]
    nights = [[Run(0, own[n]), Run(n + 1, source.gauss(0, 1))] for n in range(count)]
    return [run for night in nights for run in night]


def test_a_correlation_of_runs_of_one_seed_is_seldom_overstated():
    for rho in (0.0, 0.6):
        source = random.Random(f"{rho}")
        found = [level(correlated(rho, 25, source)).correlation for _ in range(200)]
        assert sum(each > rho for each in found) / 200 <= 0.12


def test_a_close_correlation_is_seen_once_there_are_runs_enough():
    source = random.Random(7)
    found = [level(correlated(0.95, 40, source)) for _ in range(100)]
    assert sum(each.correlation > 0.6 for each in found) > 75


def test_equal_values_of_different_seeds_are_different_runs():
    stored = [Run(seed, 1.0) for seed in range(9)]
    assert independent(stored) == stored


def test_what_stands_before_a_change_of_level_does_not_count():
    source = random.Random(5)
    for step in (4, -4):
        before = runs(20, source=source)
        after = runs(20, level=step, first_seed=20, source=source)
        kept = independent([*before, *after])
        assert kept[-20:] == after
        assert len(kept) <= 22, "a step is placed within a run or two"


def test_a_run_that_gave_no_number_is_left_out():
    stored = runs(9)
    assert independent([*stored, Run(99, math.nan), Run(98, math.inf)]) == stored


def test_most_histories_without_a_change_count_whole():
    source = random.Random(11)
    whole = sum(len(independent(runs(50, source=source))) == 50 for _ in range(150))
    assert whole / 150 >= 0.6


def test_newest_runs_that_are_all_equal_show_no_correlation():
    stored = [Run(0, 1 + n / 1e4) for n in range(10)] + [Run(0, 0.0), Run(1, 0.0)]
    assert level(stored).correlation == 0


values = st.builds(Run, st.integers(0, 5), st.floats(-10, 10))


@given(st.lists(values, max_size=40))
def test_what_counts_was_stored_and_keeps_its_order(stored):
    kept = independent(stored)
    rest = iter(stored)
    assert all(any(run == other for other in rest) for run in kept)
