"""What `compare` promises: how often it errs, and at what price. Fixed seeds, generous bounds.

The bounds fail where the corridor, the evidence or the handling of wild runs is broken; the exact
figures are those of ``benchmarks/verdict/compare.py``.
"""

import math
import random

import pytest

from torchproof.verdict import compare


REPETITIONS = 400
ERRORS = 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / REPETITIONS)  # a right test passes this
LONGEST = 120


def normal(source):
    return source.gauss(0, 1)


def t3(source):
    squares = sum(source.gauss(0, 1) ** 2 for _ in range(3))
    return source.gauss(0, 1) / math.sqrt(squares)


def spiky(source):
    return source.gauss(0, 1) + (source.choice((-8, 8)) if source.random() < 0.02 else 0)


def experiments(noise, shift, stored, **options):
    source = random.Random(stored)
    found = []
    for _ in range(REPETITIONS):
        base = [noise(source) for _ in range(stored)]
        head = [noise(source) + shift for _ in range(LONGEST)]
        found.append(compare(head, base, better="lower", **options))
    return found


def share(found, verdict):
    return sum(each.verdict == verdict for each in found) / len(found)


def mean_runs(found):
    return sum(each.runs.head for each in found) / len(found)


@pytest.mark.parametrize("noise", [normal, t3, spiky])
@pytest.mark.parametrize(("stored", "price"), [(20, 13), (50, 8.5)])
def test_a_head_without_a_change_is_seldom_worse(noise, stored, price):
    found = experiments(noise, 0, stored)
    assert share(found, "worse") <= ERRORS
    assert share(found, "undecided") <= 0.02
    assert mean_runs(found) <= price


@pytest.mark.parametrize("noise", [normal, t3, spiky])
@pytest.mark.parametrize(("stored", "price"), [(20, 13), (50, 8.5)])
def test_a_loss_of_one_sigma_is_seldom_missed(noise, stored, price):
    found = experiments(noise, 1, stored)
    assert share(found, "not-worse") <= ERRORS
    assert share(found, "undecided") <= 0.02
    assert mean_runs(found) <= price


@pytest.mark.parametrize(("shift", "wrong"), [(0, "worse"), (1, "not-worse")])
def test_the_error_rates_can_be_chosen(shift, wrong):
    strict = experiments(normal, shift, 50, alpha=0.01, beta=0.01)
    loose = experiments(normal, shift, 50, alpha=0.2, beta=0.2)
    assert share(strict, wrong) <= 0.03
    assert 0.1 <= share(loose, wrong) <= 0.27
    assert mean_runs(loose) < mean_runs(strict)


@pytest.mark.parametrize(("shift", "wrong"), [(0, "worse"), (1, "not-worse")])
def test_both_sides_may_run_while_being_looked_at(shift, wrong):
    source, found = random.Random(7), []
    for _ in range(REPETITIONS // 2):
        head, base = [], []
        result = compare(head, base, better="lower")
        while result.verdict == "undecided" and len(head) < LONGEST:
            head += [normal(source) + shift for _ in range(result.more_runs.head)]
            base += [normal(source) for _ in range(result.more_runs.base)]
            result = compare(head, base, better="lower")
        found.append(result)
    assert share(found, wrong) <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / len(found))
    assert sum(sum(each.runs) for each in found) / len(found) <= 30


def paired(noise, rho, shift, stored):
    source, found = random.Random(f"{rho} {stored}"), []
    for _ in range(REPETITIONS):
        base = [noise(source) for _ in range(60)]
        head = [rho * x + math.sqrt(1 - rho**2) * noise(source) + shift for x in base]
        found.append(compare(head, base, better="lower", paired=True, stored=stored))
    return found


@pytest.mark.parametrize("noise", [normal, t3, spiky])
@pytest.mark.parametrize(
    ("rho", "stored", "price"),
    [(0.0, 0, 18), (0.5, 0, 11.5), (0.9, 0, 5.5), (0.95, 0, 5), (0.0, 50, 12), (0.9, 50, 5)],
)
def test_pairs_keep_the_error_rates_whatever_their_correlation(noise, rho, stored, price):
    for shift, wrong in ((0, "worse"), (1, "not-worse")):
        found = paired(noise, rho, shift, stored)
        assert share(found, wrong) <= ERRORS
        assert mean_runs(found) <= price


@pytest.mark.parametrize("shift", [0, 0.5, 1])
def test_the_interval_holds_the_change_at_the_end_of_the_test(shift):
    found = experiments(normal, shift, 50)
    held = sum(each.interval[0] <= shift <= each.interval[1] for each in found) / len(found)
    assert held >= 0.9 - 3.5 * math.sqrt(0.9 * 0.1 / REPETITIONS)
