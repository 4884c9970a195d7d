"""Pairs of runs that share a seed: what they have in common is taken off, whatever that is."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchproof.verdict import compare
from torchproof.verdict.corridor import evidence
from torchproof.verdict.noise import between
from torchproof.verdict.pairs import CORRELATIONS, LEAST, within


def drawn(rho, count, *, stored=0, level=0.0, seed=0):
    """Return runs of a head and of its base that correlate by rho, each with a sigma of 1."""
    source = random.Random(seed)
    base = [source.gauss(0, 1) for _ in range(max(count, stored))]
    own = math.sqrt(1 - rho**2)
    return [rho * base[i] + own * source.gauss(0, 1) + level for i in range(count)], base


def test_without_a_correlation_a_pair_is_two_runs():
    head, base = drawn(0.5, 6, stored=20)
    _, part = within(head, base, None).mixture[0]
    assert part[:5] == pytest.approx(between(head, base, None)[:5])


@pytest.mark.parametrize("stored", [0, 50])
def test_what_runs_of_a_seed_have_in_common_adds_information(stored):
    loose, close = (within(*drawn(rho, 8, stored=stored), None) for rho in (0.0, 0.95))
    assert close.information > 2 * loose.information
    assert close.size == pytest.approx(0, abs=0.4)


def test_runs_of_the_base_without_a_partner_add_information():
    head, base = drawn(0.5, 20, stored=200)
    assert within(head, base, None).information > within(head, base[:20], None).information


def test_fewer_than_three_pairs_say_nothing():
    head, base = drawn(0.9, LEAST, stored=20)
    assert within(head, base, None) is not None
    assert within(head[:-1], base, None) is None


def test_an_accident_of_the_seed_is_on_both_sides_and_does_not_count():
    head, base = drawn(0.9, 9)
    wild = within([*head, 50.0], [*base, 52.0], None)
    assert wild == within(head, base, None)


def test_without_a_change_the_likelihood_ratio_has_a_mean_of_one():
    source, ratios = random.Random(3), []
    for seed in range(4000):
        rho = source.choice(CORRELATIONS)
        shift = within(*drawn(rho, 6, stored=9, seed=seed), None)
        ratios.append(math.exp(evidence(shift, 0.5)))
    assert sum(ratios) / len(ratios) == pytest.approx(1.0, abs=0.1)


pairs = st.lists(st.tuples(st.floats(-3, 4), st.floats(-3, 3)), min_size=2, max_size=15)


@given(pairs, st.sampled_from([1e-6, 0.25, 1024.0]))
def test_the_unit_and_the_direction_do_not_matter(found, unit):
    head, base = ([pair[side] for pair in found] for side in (0, 1))
    here = compare(head, base, better="lower", paired=True)
    there = compare(
        [-unit * x for x in head], [-unit * x for x in base], better="higher", paired=True
    )
    assert (there.verdict, there.runs) == (here.verdict, here.runs)
    assert there.smallest_detectable == pytest.approx(unit * here.smallest_detectable)


@given(pairs, st.integers(0, 6))
def test_a_later_pair_undoes_no_answer(found, spare):
    head, base = ([pair[side] for pair in found] for side in (0, 1))
    base += [0.1 * n for n in range(spare)]
    answers = [
        compare(head[:n], base, better="lower", paired=True, stored=len(base)).verdict
        for n in range(1, len(head) + 1)
    ]
    decided = [each for each in answers if each != "undecided"]
    assert answers[len(answers) - len(decided) :] == decided == decided[:1] * len(decided)


def test_equal_pairs_are_not_worse_and_any_difference_without_noise_is():
    same = compare([0.5] * 3, [0.5] * 20, better="lower", paired=True)
    worse = compare([0.6] * 3, [0.5] * 20, better="lower", paired=True)
    assert (same.verdict, worse.verdict) == ("not-worse", "worse")


def test_pairs_with_a_known_sigma_are_decided_too():
    head, base = drawn(0.9, 8, level=1.0)
    found = compare(head, base, better="lower", paired=True, sigma=1.0)
    assert (found.verdict, found.sigma) == ("worse", 1.0)
