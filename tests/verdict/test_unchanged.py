"""Unchanged training: what the gate accepts, and each reason for which it does not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import CPU, ENVIRONMENT, metric, outcome, record

from torchproof.verdict import Waiting, judge, unchanged
from torchproof.verdict.unchanged import is_fingerprint


TESTS = ("test_one_batch", "test_gan")
STORED = [record(*map(outcome, TESTS), tier="overfit")]


def value(digest="a", steps="12345", trainees=1, kind="trainee", models=""):
    """Return a fact as the plugin writes it, from one character a step or trained model."""
    words = [",".join(step * 8 for step in steps)] * trainees
    words += [f"from:{model * 8}" for model in models]
    return " ".join([kind, digest * 32, *words])


def prints(
    training=None, *, own="1", gpu="5", project="2", environment=ENVIRONMENT, data="3", **fields
):
    """A fingerprint record of the two tests."""
    tests = [outcome(test).test for test in TESTS]
    training = {test: value() for test in tests} if training is None else training
    facts = {
        "environment": environment,
        "hardware": fields.pop("hardware", CPU),
        "data": {"digits": data},
        "training": training,
        "code": dict.fromkeys(tests, f"{own} {gpu} {project}"),
    }
    return record(*map(outcome, TESTS), tier="overfit-fingerprint", fingerprint=facts, **fields)


def of_first(text):
    first, second = (outcome(test).test for test in TESTS)
    return {first: text, second: value()}


def gate(head, base=None, stored=STORED):
    return unchanged("overfit", [head], [prints() if base is None else base], stored)


def test_the_same_bits_in_the_same_place_are_unchanged():
    answer = gate(prints())
    assert answer.holds
    assert answer.why == "bit-equal to the baseline over the first 5 steps of 2 trainees"


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (prints(of_first(value("b", "12945"))), "the trajectory differs from step 3 on"),
        (prints(of_first(value("b"))), "what follows the first steps differs"),
        (prints(of_first(value("b", "123"))), "the test trains something else"),
        (prints(of_first(value("b", trainees=2))), "the test trains something else"),
        (prints(own="9"), "the test itself changed"),
        (prints(gpu="9"), "what the code says of GPUs changed"),
        (prints(environment={**ENVIRONMENT, "torch": "2.14.0"}), "the environment is another"),
        (prints(environment={**ENVIRONMENT, "packages": "f00"}), "the environment is another"),
        (prints(data="4"), "the data changed"),
        (prints(seed=1), "the seed is another"),
        (prints({}), "2 of 2 tests left no fingerprint on this commit"),
        (prints(of_first("")), "1 of 2 tests left no fingerprint on this commit"),
        (prints(of_first("trainee a b")), "1 of 2 tests left no fingerprint on this commit"),
        (prints(state="timed-out"), "no fingerprints were taken on this commit"),
        (replace(prints(), outcomes=()), "no fingerprints were taken on this commit"),
        (
            replace(prints(), outcomes=prints().outcomes[:1]),
            "the tests are not those of the baseline",
        ),
    ],
)
def test_each_difference_is_a_reason_in_words(head, why):
    answer = gate(head)
    assert not answer.holds
    assert answer.why.startswith(why)


def test_the_reason_names_the_test():
    assert gate(prints(of_first(value("b", "12945")))).test.endswith("::test_one_batch")


def test_bits_that_differ_on_another_processor_are_said_to_be_from_there():
    other = prints(of_first(value("b", "9")), hardware={**CPU, "cpu": "AMD EPYC"})
    assert gate(other).why.endswith("(on another processor)")
    assert gate(prints(hardware={**CPU, "cpu": "AMD EPYC"})).holds


def test_code_that_did_not_run_counts_where_a_test_does_more_than_train_a_trainee():
    assert gate(prints(project="9")).holds
    first = of_first(value(kind="test"))
    assert gate(prints(first), prints(first)).holds
    assert "the code changed" in gate(prints(first, project="9"), prints(first)).why
    unknown = prints(first, project="")
    assert not gate(unknown, unknown).holds, "more files than could be read"


def with_models(models, steps=0, digest="a"):
    first = of_first(value(digest, trainees=steps, kind="test", models=models))
    return prints(first)


def test_a_trained_model_is_known_by_what_it_is_made_from():
    same = with_models("78")
    assert gate(same, same).why == (
        "bit-equal to the baseline over the first 5 steps of 1 trainee"
        " and in what makes 2 trained models"
    )
    changed = gate(with_models("79", digest="b"), same)
    assert changed.why == "the code or the configuration that a trained model is made from changed"
    assert gate(with_models("7", digest="b"), same).why == "the test trains something else"


def test_trained_models_alone_are_bits_of_nothing():
    models = dict.fromkeys(of_first("").keys(), value(trainees=0, kind="test", models="7"))
    answer = gate(prints(models), prints(models))
    assert (answer.holds, answer.why) == (
        True,
        "equal to the baseline in what makes 1 trained model",
    )
    none = dict.fromkeys(models, value(trainees=0))
    assert "left no fingerprint" in gate(prints(none), prints(none)).why


@pytest.mark.parametrize(
    "stored",
    [
        [],
        [record(outcome("test_gan", "failed"), tier="overfit")],
        [*STORED, record(*map(outcome, TESTS), tier="overfit", state="crashed")],
    ],
)
def test_only_a_run_that_passed_can_stand_in(stored):
    assert gate(prints(), stored=stored).why == "the baseline has no passed run"


def test_a_test_that_only_the_gpu_runs_keeps_the_gate_open():
    stored = [record(*map(outcome, (*TESTS, "test_bf16")), tier="overfit")]
    answer = gate(prints(), stored=stored)
    assert not answer.holds
    assert answer.test.endswith("::test_bf16")


def test_without_a_fingerprint_on_either_side_there_is_a_reason():
    assert unchanged("overfit", [], [prints()], STORED).why.endswith("on this commit")
    assert unchanged("overfit", [prints()], [], STORED).why.endswith("on the baseline")


values = st.one_of(
    st.builds(value, st.sampled_from("ab"), st.sampled_from(["12345", "12349", "123"])),
    st.builds(value, st.just("c"), kind=st.just("test"), models=st.sampled_from(["7", "78"])),
    st.text(max_size=80),
)
records = st.builds(
    prints,
    st.builds(of_first, values),
    own=st.sampled_from("12"),
    data=st.sampled_from("34"),
    seed=st.integers(0, 1),
    state=st.sampled_from(["complete", "crashed"]),
)


@given(head=records, base=records)
def test_it_holds_only_for_equal_fingerprints_and_both_ways(head, base):
    answer = gate(head, base)
    assert answer.holds == gate(base, head).holds
    if answer.holds:
        facts = [side.fingerprint for side in (head, base)]
        assert facts[0] == facts[1]
    assert answer.why


@given(side=records)
def test_a_whole_fingerprint_is_unchanged_against_itself(side):
    answer = gate(side, side)
    assert answer.holds == (side.state == "complete" and "no fingerprint" not in answer.why)


def test_fingerprints_are_told_from_runs():
    assert is_fingerprint(prints())
    assert not any(map(is_fingerprint, STORED))


def test_the_verdict_has_a_row_for_a_tier_that_need_not_run():
    unit = record(outcome("test_a"), metric())
    verdict = judge([unit], [unit], unchanged=[Waiting(tier="overfit", why="bit-equal")])
    (row,) = (row for row in verdict.rows if row.kind == "run")
    assert (row.name, row.state, row.why, row.changed) == ("overfit", "same", "bit-equal", False)
    assert verdict.passed
    assert not verdict.pending
    assert verdict.word == "not-worse"


def test_unchanged_tiers_alone_are_a_verdict_too():
    assert judge([], [], unchanged=[Waiting(tier="overfit")]).word == "not-worse"
