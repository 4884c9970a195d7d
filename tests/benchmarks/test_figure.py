from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks.overhead.child import output_of, percent_more, take_turns, timed
from benchmarks.overhead.figure import Figure, table


def test_the_median_is_held_against_the_target():
    assert Figure(what="start", unit="s", values=(0.05, 9.0, 0.06), most=0.1).met
    assert not Figure(what="start", unit="s", values=(0.05, 9.0, 0.2), most=0.1).met


def test_a_better_estimate_than_the_median_is_held_against_the_target():
    figure = replace(percent_more("plugin", (1.02, 1.5, 1.4), (1.0, 1.2, 1.3)), most=3.0)
    assert figure.value == pytest.approx(2.0)
    assert figure.met
    assert figure.row()[1] == "+2.0 % (+2.0 % … +7.7 % … +25.0 %)"


def test_a_figure_that_could_not_be_measured_says_why_and_misses_nothing():
    figure = Figure(what="image", unit="MB", most=100, note="there is no docker engine")
    assert figure.row() == ("image", "not measured: there is no docker engine", "≤ 100.0 MB", "")
    assert figure.met is None


def test_the_table_names_figure_measurement_target_and_whether_it_is_met():
    figures = [
        Figure(what="calls", unit="calls", values=(13,), most=15),
        Figure(what="start", unit="s", values=(0.1, 0.3, 0.2), most=0.1),
        Figure(what="size", unit="MB", values=(28.5,)),
    ]
    assert table(figures).splitlines() == [
        "| figure | measured | target | met |",
        "| --- | --- | --- | --- |",
        "| calls | 13 | ≤ 15 | yes |",
        "| start | 0.20 s (0.10 s … 0.30 s) | ≤ 0.10 s | no |",
        "| size | 28.5 MB |  |  |",
    ]


def test_variants_take_turns_and_the_first_round_is_lost():
    order = []

    def variant(name):
        return lambda: order.append(name) or float(len(order))

    taken = take_turns({"a": variant("a"), "b": variant("b")}, 2)
    assert order == ["a", "b"] * 3
    assert taken == {"a": (3.0, 5.0), "b": (4.0, 6.0)}


def test_processor_time_is_that_of_children_alone(tmp_path):
    busy = ("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
    assert timed(lambda: sum(range(10**5))) == (0, 4999950000)
    seconds, output = timed(lambda: output_of(busy, cwd=tmp_path))
    assert seconds > 0
    assert output == ""


def test_a_program_that_ends_otherwise_than_expected_is_no_measurement(tmp_path):
    with pytest.raises(RuntimeError, match="ended with 3:\nno tests"):
        output_of(("sh", "-c", "echo no tests; exit 3"), cwd=tmp_path)
    assert output_of(("sh", "-c", "exit 5"), cwd=tmp_path, exit_codes=(0, 5)) == ""
