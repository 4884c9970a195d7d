"""The section in the terminal stays short."""

from __future__ import annotations

from torchproof.testing.guard import SEED, Leak
from torchproof.testing.summary import leak_lines


def test_nothing_to_say_is_no_line():
    assert leak_lines([]) == []


def test_many_leaks_are_counted_by_kind_after_the_first():
    leaks = [Leak(f"t{number}", "torch grad mode", "True → False") for number in range(5)]
    assert leak_lines(leaks, limit=2) == [
        "leak: t0: True → False",
        "leak: t1: True → False",
        "leak: 3 more: torch grad mode (3)",
    ]


def test_a_test_that_seeds_twice_counts_once():
    assert leak_lines([Leak("t", SEED, "…")] * 2)[0].startswith("leak: 1 test left torch's")


def test_on_ci_a_failure_of_ours_stands_once(suite, monkeypatch):
    monkeypatch.setenv("CI", "true")
    asked = "'b', kind='MFT', inputs=['one'], expect=[1], predict=list"
    suite.file("test_it.py", f"def test_it(proof): proof.behaviour({asked})\n")
    shown = suite.run().stdout.str()
    assert shown.count("1 of 1 input fails") == 2
    assert shown.count("input     one") == 1
