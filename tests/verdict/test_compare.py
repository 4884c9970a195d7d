"""Head against base on run-to-run noise: three answers, asked for after every run."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchproof.errors import UsageError
from torchproof.verdict import compare


def runs(count, level=0.0, seed=0):
    """Return values with a run-to-run standard deviation of 1."""
    source = random.Random(seed)
    return [level + source.gauss(0, 1) for _ in range(count)]


BASE = runs(20, seed=1)
samples = st.lists(st.floats(-5, 5), min_size=1, max_size=25)


def test_a_head_that_is_clearly_worse_is_worse():
    found = compare(runs(6, level=3), BASE, better="lower")
    assert found.verdict == "worse"
    assert found.interval[0] >= 0
    assert found.more_runs == (0, 0)


def test_a_head_like_its_base_is_not_worse():
    found = compare(runs(40), BASE, better="lower")
    assert found.verdict == "not-worse"
    assert found.interval[1] <= found.sigma
    assert "ruled out" in found.reason


def test_one_run_says_little_and_asks_for_another():
    found = compare(runs(1), BASE, better="lower")
    assert found.verdict == "undecided"
    assert found.interval[0] < 0 < found.interval[1]
    assert found.more_runs == (1, 0)


def test_better_by_far_is_not_worse():
    assert compare(runs(6, level=-3), BASE, better="lower").verdict == "not-worse"


@given(samples)
def test_higher_is_better_mirrors_lower_is_better(head):
    lower = compare(head, BASE, better="lower")
    higher = compare([-x for x in head], [-x for x in BASE], better="higher")
    assert higher.verdict == lower.verdict
    assert higher.interval == (-lower.interval[1], -lower.interval[0])


@settings(deadline=None)
@given(st.lists(st.floats(-3, 4), min_size=2, max_size=25), st.sampled_from([6, 20, 30]))
def test_a_later_run_undoes_no_answer(head, stored):
    base = runs(stored, seed=2)
    answers = [compare(head[:n], base, better="lower") for n in range(1, len(head) + 1)]
    decided = [each for each in answers if each.verdict != "undecided"]
    assert answers[len(answers) - len(decided) :] == decided
    assert decided == decided[:1] * len(decided)


@given(samples, st.sampled_from([1e-6, 0.25, 1024.0]))
def test_the_unit_of_the_metric_does_not_matter(head, unit):
    here = compare(head, BASE, better="lower")
    there = compare([unit * x for x in head], [unit * x for x in BASE], better="lower")
    assert there.verdict == here.verdict
    assert there.smallest_detectable == pytest.approx(unit * here.smallest_detectable)


@given(samples, st.randoms())
def test_the_order_of_stored_runs_does_not_matter(head, source):
    shuffled = BASE.copy()
    source.shuffle(shuffled)
    found, other = (compare(head, base, better="lower") for base in (BASE, shuffled))
    assert (found.verdict, found.runs) == (other.verdict, other.runs)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_run_that_is_not_finite_makes_the_head_worse_at_once(value, better):
    found = compare([*runs(30), value], BASE, better=better)
    assert found.verdict == "worse"
    assert "run 31" in found.reason


def test_a_single_wild_run_is_an_accident_and_two_are_a_finding():
    assert compare([9.0], BASE, better="lower").verdict == "undecided"
    assert compare([9.0, *runs(40)], BASE, better="lower").verdict == "not-worse"
    assert compare([9.0, 9.5], BASE, better="lower").verdict == "worse"


@pytest.mark.parametrize("head", [[50.0, 90.0], [8.0, 90.0], [1e30, 1e31], [1e38] * 3])
def test_a_gross_loss_is_seen_after_two_runs_whatever_its_size(head):
    found = compare(head, BASE, better="lower")
    assert found.verdict == "worse"
    assert found.runs.head == 2
    assert found.interval[1] == math.inf


def test_wild_runs_of_the_base_do_not_hide_a_loss():
    head = runs(12, level=2)
    wild = compare(head, [*BASE, 12.0, -12.0], better="lower")
    assert wild.verdict == "worse"
    assert wild.sigma == pytest.approx(compare(head, BASE, better="lower").sigma, rel=0.1)


def test_runs_of_the_base_that_diverged_are_left_out():
    head = runs(6, level=3)
    found = compare(head, [*BASE, math.nan, math.inf], better="lower")
    assert found == compare(head, BASE, better="lower")


def test_equal_bits_on_both_sides_are_not_worse():
    found = compare([0.1], [0.1] * 20, better="higher")
    assert found.verdict == "not-worse"
    assert found.interval == (0, 0)


def test_one_equal_run_on_either_side_is_no_proof():
    assert compare([0.1], [0.1], better="higher").verdict == "undecided"


@pytest.mark.parametrize(("head", "verdict"), [(0.4, "worse"), (0.6, "not-worse")])
def test_without_noise_any_difference_counts(head, verdict):
    found = compare([head, head], [0.5] * 20, better="higher")
    assert found.verdict == verdict
    assert compare([head], [0.5] * 20, better="higher").verdict == "undecided"
    assert found.interval == pytest.approx((head - 0.5, head - 0.5))


def test_a_metric_of_few_values_is_compared_like_any_other():
    base = [0.97] * 17 + [0.96, 0.98, 0.96]
    assert compare([0.97, 0.97, 0.96], base, better="higher").verdict != "worse"
    assert compare([0.93] * 3, base, better="higher").verdict == "worse"


def test_twenty_stored_runs_need_only_the_head():
    assert compare([], BASE, better="lower").more_runs.base == 0
    assert compare([], BASE[:19], better="lower").more_runs.head > 0
    assert compare(runs(19), BASE[:19], better="lower", effect=0.2).more_runs == (1, 1)


def test_nothing_at_all_asks_for_both_sides():
    found = compare([], [], better="lower")
    assert found.verdict == "undecided"
    assert found.more_runs.head == found.more_runs.base > 1
    assert found.smallest_detectable == math.inf


def test_a_base_that_lags_behind_is_asked_to_catch_up():
    head = [0.1, 1.2, -0.4, 0.9, 0.3, 1.1, -0.2, 0.8, 0.5]
    assert compare(head, runs(5, seed=3), better="lower").more_runs == (0, 4)


def test_a_head_that_outnumbers_a_stored_base_asks_for_both_where_old_runs_are_told():
    head = [sum(BASE) / 20 + (0.1 if i % 2 else 0.9) for i in range(20)]
    found, told = (compare(head, BASE, better="lower", stored=s) for s in (None, 20))
    assert found.verdict == told.verdict == "undecided"
    assert (found.more_runs, told.more_runs) == ((1, 0), (1, 1))


@pytest.mark.parametrize("stored", [0, 20, 50])
@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_no_more_runs_are_asked_for_than_could_decide(stored, effect):
    base = runs(stored, seed=4)
    fewest = compare([], base, better="lower", effect=effect).more_runs.head
    best = [-3 - i / 100 for i in range(fewest - 1)]
    worst = [3 + i / 100 for i in range(fewest - 1)]
    for head in (best, worst):
        base = base or runs(fewest - 1, seed=4)
        assert compare(head, base, better="lower", effect=effect).verdict == "undecided"


def test_the_smallest_detectable_change_is_the_effect_or_what_the_base_can_tell():
    head = runs(3)
    whole = compare(head, BASE, better="lower")
    assert whole.smallest_detectable == pytest.approx(whole.sigma)
    half = compare(head, BASE, better="lower", effect=0.1)
    assert half.smallest_detectable == pytest.approx(3.29 / math.sqrt(20) * half.sigma, rel=1e-3)


def test_the_noise_of_the_base_is_known_before_the_head_has_run():
    found = compare([], BASE, better="lower")
    assert 0.5 < found.sigma == found.smallest_detectable < 1.5


def test_an_effect_too_small_for_any_test_asks_for_a_batch_at_a_time():
    assert compare([], BASE, better="lower", effect=1e-6).more_runs == (100, 0)


def test_pairs_tell_what_their_noise_would_hide():
    base = runs(8, seed=5)
    head = [x + 1.2 + small / 20 for x, small in zip(base, runs(8, seed=6), strict=True)]
    assert compare(head, base, better="lower").verdict == "undecided"
    found = compare(head, base, better="lower", paired=True)
    assert found.verdict == "worse"
    assert found.interval[0] <= 1.2 <= found.interval[1]


def test_a_pair_without_its_partner_asks_for_it():
    assert compare(runs(4), runs(2, seed=1), better="lower", paired=True).more_runs == (0, 2)


def test_a_pair_whose_base_diverged_is_left_out():
    base, head = runs(9, seed=5), runs(9, seed=6)
    found = compare(
        [*head[:4], 3.0, *head[4:]], [*base[:4], math.nan, *base[4:]], better="lower", paired=True
    )
    assert found == compare(head, base, better="lower", paired=True)


def test_a_known_sigma_saves_the_runs_that_measure_it():
    head, base = runs(60, level=1, seed=7), runs(60, seed=8)
    known = compare(head, base, better="lower", sigma=1.0)
    assert known.verdict == "worse"
    assert known.sigma == 1.0
    assert compare([], [], better="lower", sigma=1.0).more_runs == (1, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"better": "up"},
        {"effect": 0},
        {"effect": math.nan},
        {"alpha": 0.5},
        {"beta": 0.0},
        {"sigma": 0.0},
        {"stored": -1},
    ],
)
def test_a_wrong_parameter_gets_one_sentence(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        compare([1.0], BASE, **{"better": "lower", **wrong})
