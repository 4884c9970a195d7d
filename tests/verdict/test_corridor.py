"""The evidence is a likelihood ratio, and the corridor keeps what it is built for."""

import math
import random

import pytest

from torchproof.verdict.corridor import Rates, corridor, evidence, half_width
from torchproof.verdict.noise import Shift, between


RATES = Rates(effect=1.0, alpha=0.05, beta=0.05)


def exact(share, information, freedom, effect):
    """Integrate both densities of t by the trapezoidal rule."""
    tilt, step = effect * math.sqrt(information) * share, 0.002
    grid = [step * i for i in range(1, 10_000)]
    upper = [freedom * math.log(x) - x * x / 2 + tilt * x for x in grid]
    lower = [freedom * math.log(x) - x * x / 2 for x in grid]
    top = max(upper)
    ratio = sum(math.exp(x - top) for x in upper) / sum(math.exp(x - top) for x in lower)
    return math.log(ratio) - effect**2 * information / 2


@pytest.mark.parametrize("freedom", [4, 10, 25])
@pytest.mark.parametrize("size", [-1.0, 0.2, 0.9, 3.0])
def test_the_evidence_is_the_ratio_of_two_t_densities(freedom, size):
    shift = Shift(size=size, sigma=1.0, information=4.0, freedom=freedom, runs=5)
    t = size * 2
    wanted = exact(t / math.sqrt(t * t + freedom), 4.0, freedom, 1.0)
    assert evidence(shift, 1.0) == pytest.approx(wanted, abs=0.03)


def test_with_a_known_sigma_the_evidence_is_that_of_two_normal_means():
    shift = Shift(size=0.7, sigma=1.0, information=4.0, freedom=math.inf, runs=5)
    assert evidence(shift, 1.0) == pytest.approx(4 * (0.7 - 0.5))


def test_without_a_change_the_likelihood_ratio_has_a_mean_of_one():
    source, ratios = random.Random(3), []
    for _ in range(4000):
        head, base = ([source.gauss(0, 1) for _ in range(n)] for n in (3, 25))
        ratios.append(math.exp(evidence(between(head, base, None), 0.5)))
    assert sum(ratios) / len(ratios) == pytest.approx(1.0, abs=0.05)


def test_the_corridor_narrows_until_it_is_closed():
    widths = [sum(corridor(n, math.inf, n, RATES)) for n in range(1, 60)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0


def test_smaller_errors_and_fewer_degrees_of_freedom_widen_it():
    usual = corridor(4, 25, 5, RATES)
    strict = corridor(4, 25, 5, Rates(1.0, 0.001, 0.001))
    assert strict > usual
    assert corridor(4, 5, 5, RATES)[0] > usual[0]


def test_the_half_width_lies_between_wald_and_whitehead():
    for error in (0.2, 0.07, 0.05, 0.01, 0.003, 0.0001):
        wald, whitehead = math.log((1 - error) / error), 2 * math.log(1 / (2 * error))
        assert wald < half_width(error) < whitehead
