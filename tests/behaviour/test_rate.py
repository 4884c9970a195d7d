"""The failure rate's interval against scipy and against what it promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from torchproof.behaviour.rate import Rate, percent


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts):
    ours = Rate(*counts).interval()
    theirs = stats.binomtest(*counts).proportion_ci(method="wilson")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_rate(counts):
    rate = Rate(*counts)
    low, high = rate.interval()
    assert 0 <= low <= rate.value <= high <= 1


@pytest.mark.parametrize("p", [0.05, 0.3])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(p):
    n = 60
    covers = (stats.binom.pmf(k, n, p) * (lo <= p <= hi) for k in range(n + 1)
              for lo, hi in [Rate(k, n).interval()])  # fmt: skip
    assert 0.93 < sum(covers) < 0.98


def test_a_rate_reads_as_a_sentence():
    assert str(Rate(3, 20)) == "3 of 20 inputs fail, 15 % (95 % interval 5.2 % to 36 %)"
    assert percent(1.0) == "100 %"
