from __future__ import annotations

from functools import partial

import pytest
from benchmarks.faults.case import cases
from benchmarks.faults.classes import CLASSES
from benchmarks.faults.table import by_class, totals
from benchmarks.faults.tools import prove


KNOWN = cases()
QUICK = [case for case in KNOWN.values() if case.quick]
FEWEST_BUGS = 100
FEWEST_FAMILIES = 12


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_the_bug_is_named_and_its_right_twin_passes(case):
    wrong = prove(partial(case.build, right=False))
    right = prove(partial(case.build, right=True))
    assert set(case.rules) & set(wrong.rules), wrong.words or "no finding"
    assert not right.caught, right.words


def test_the_corpus_is_as_wide_as_it_says():
    assert len(KNOWN) >= FEWEST_BUGS
    assert len({case.family for case in KNOWN.values()}) >= FEWEST_FAMILIES
    assert {case.number for case in KNOWN.values()} == set(CLASSES)


def test_the_tables_count_what_was_caught_named_and_alarmed():
    line = {"case": "missing_zero_grad", "tool": "prove", "named": False, "hinted": False}
    cost = {"seconds": 0.2, "step_seconds": 0.01}
    lines = [
        {**line, **cost, "right": False, "caught": True},
        {**line, **cost, "right": True, "caught": True},
    ]
    assert by_class(lines, ["prove"], KNOWN).splitlines()[2] == (
        "| 1 | zero_grad missing | 1/1 (0 named), 1 false |"
    )
    assert totals(lines, ["prove"]).splitlines()[2] == (
        "| `torchproof.prove` | 1/1 | 0/1 | 1/1 | 0.20 s | 20 steps |"
    )
