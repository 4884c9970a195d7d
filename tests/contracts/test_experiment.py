"""The experiment of the benchmark in its quick form, and that the place does not show."""

from __future__ import annotations

import pytest
from benchmarks.architectures.edits import EDITS, FUNCTION, SPELLING, TRAINING
from benchmarks.architectures.held_out import HELD_OUT
from benchmarks.architectures.places import PLACES, differing
from benchmarks.architectures.real import locked
from benchmarks.architectures.table import counts, judge, quick


def test_the_experiment_has_its_size():
    for edits, size in ((EDITS, (27, 4, 9)), (HELD_OUT, (28, 4, 7))):
        kinds = [edit.kind for edit in edits]
        assert (kinds.count(FUNCTION), kinds.count(TRAINING), kinds.count(SPELLING)) == size


@pytest.mark.parametrize("edits", [EDITS, HELD_OUT], ids=["designed on", "held out"])
def test_edits_of_the_function_break_the_contract_and_no_others(edits):
    judged = judge(quick(edits))
    assert all(one.right for one in judged)
    found = counts(judged)
    assert found[FUNCTION][0] == found[FUNCTION][1]
    assert found[TRAINING][0] == found[SPELLING][0] == 0


def test_tiny_models_of_transformers_are_locked_and_found_again():
    pytest.importorskip("transformers")
    assert [one.verdict for one in locked(1)] == ["identical"] * 4


def test_another_process_with_other_instructions_finds_the_same():
    place = {**PLACES["no vector instructions"], "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "3"}
    assert differing({"another place": place}, few=True) == []
