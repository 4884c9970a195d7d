"""The chart of the overfit loss: few finite points, two lines, plain numbers."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import BASE, HEAD, curve, decay, plateau, record

from torchproof.report import Context, compose
from torchproof.report.chart import MAX_POINTS, xychart
from torchproof.report.phrase import plain
from torchproof.report.svg import svg
from torchproof.verdict import judge


def lines_of(chart):
    found = re.findall(r"^    line \[(.*)\]$", chart, re.MULTILINE)
    return [[float(value) for value in line.split(", ")] for line in found]


def drawn(head, *base):
    head, base = [record(head)], [record(curve) for curve in base]
    context = Context(head_sha=HEAD, base=BASE)
    return compose(judge(head, base), head, base, context).charts


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300),
    st.lists(st.floats(-1e9, 1e9), max_size=300),
)
def test_a_chart_has_the_same_few_finite_points_in_each_line(head, base):
    chart = xychart(head, base)
    lines = lines_of(chart)
    assert len(lines) == (2 if base else 1)
    assert len({len(line) for line in lines}) == 1
    assert 2 <= len(lines[0]) <= MAX_POINTS
    assert all(math.isfinite(value) for line in lines for value in line)
    low, high = map(float, re.search(r'y-axis ".*" (\S+) --> (\S+)', chart).groups())
    assert low < high


def test_the_first_and_the_last_value_stay():
    (line,) = lines_of(xychart([float(i) for i in range(1000)]))
    assert (line[0], line[-1]) == (0, 999)


def test_a_loss_over_several_orders_is_drawn_as_its_logarithm():
    assert "log10 of the loss" in xychart(decay(60))
    assert "log10" not in xychart(plateau(60))
    assert "log10" not in xychart([1.0, 0.0]), "zero has no logarithm"


@pytest.mark.parametrize("value", [1e-7, 1.5e9, -3e-5])
def test_numbers_have_no_exponent(value):
    assert "e-" not in xychart([value, 2 * value])
    assert "e+" not in xychart([value, 2 * value])


def test_a_shorter_line_holds_its_last_value_and_the_caption_says_so():
    (chart,) = drawn(curve(decay(40)), curve(decay(60)))
    assert plain(chart.caption) == (
        "overfit in test_one_batch: blue is this change, grey the baseline; "
        "the shorter line's last value is held"
    )


def test_a_loss_that_is_not_finite_is_drawn_up_to_there():
    (chart,) = drawn(curve([2.0, 1.0, math.nan], converged=False), curve())
    assert "not finite from step 2 on" in plain(chart.caption)
    assert chart.gates


def test_a_bit_equal_curve_is_not_drawn():
    assert drawn(curve(), curve()) == ()


def test_a_curve_without_a_finite_value_is_not_drawn():
    assert drawn(curve([math.nan], converged=False)) == ()


def test_the_picture_has_a_line_for_each_curve():
    picture = svg(xychart(decay(60), plateau(60)))
    assert picture.count("<polyline") == 2
    assert svg("something else") == "<svg></svg>"
