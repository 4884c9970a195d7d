"""The `proof` fixture as a test author uses it."""

from __future__ import annotations

import math
import subprocess
import sys
from textwrap import dedent

import pytest

from torchproof.record import load


TESTS = """
    import torch, torchproof

    def make(zero_grad=True, rate=1e-2, **options):
        def build():
            model = torch.nn.Linear(4, 3)
            optimizer = torch.optim.Adam(model.parameters(), rate)
            def step(batch):
                if zero_grad:
                    optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(batch["x"]), batch["y"])
                loss.backward()
                optimizer.step()
                return loss
            batch = {"x": torch.randn(6, 4), "y": torch.tensor([0, 1, 2, 0, 1, 2])}
            return torchproof.Trainee(model=model, batch=batch, step=step, **options)
        return build

    def test_right(proof):
        assert proof(make()).passed

    def test_wrong(proof):
        proof(make(zero_grad=False))

    def test_waived(proof):
        rules = {each.rule for each in torchproof.prove(make(zero_grad=False)).findings}
        proof(make(zero_grad=False, waive={rule: "meant" for rule in rules}))

    def test_learned(proof):
        proof.overfit(make(), steps=40)
        proof.overfit(make(), steps=3, name="again")

    def test_not_learned(proof):
        proof.overfit(make(rate=0.0), steps=3)
"""


@pytest.fixture(scope="module")
def proofs(tmp_path_factory):
    """One run of TESTS in a process of its own: record and terminal output."""
    path = tmp_path_factory.mktemp("proofs")
    (path / "test_it.py").write_text(dedent(TESTS))
    options = ["-p", "no:randomly", "--torchproof-seed=4", "--torchproof-record=run.json"]
    command = [sys.executable, "-m", "pytest", *options]
    done = subprocess.run(command, cwd=path, capture_output=True, text=True, check=False)
    return load(path / "run.json"), done.stdout


def of(record, test, kind):
    return [item for item in getattr(record, kind) if item.test.endswith(f"::{test}")]


def test_right_code_passes(proofs):
    assert of(proofs[0], "test_right", "outcomes")[0].outcome == "passed"


def test_wrong_code_fails_and_every_finding_is_recorded(proofs):
    outcome = of(proofs[0], "test_wrong", "outcomes")[0]
    findings = of(proofs[0], "test_wrong", "findings")
    assert outcome.outcome == "failed"
    assert findings[0].severity == "error"
    assert findings[0].rule in outcome.message.splitlines()[0]


def test_the_failure_shows_the_users_call_and_the_finding_and_nothing_of_ours(proofs):
    output = pytest.LineMatcher(proofs[1].splitlines())
    output.fnmatch_lines(
        [
            ">*proof(make(zero_grad=False))",
            "E * torchproof: * broken: *",
            "E * error *: *",
            "E * | *",
            "E * | ^^^*",
            "E *evidence: *",
            "E *accept: *waive=*",
        ]
    )
    output.no_fnmatch_line("*fixture.py*")


def test_a_waived_finding_is_recorded_and_does_not_fail(proofs):
    assert of(proofs[0], "test_waived", "outcomes")[0].outcome == "passed"
    assert {each.waived for each in of(proofs[0], "test_waived", "findings")} == {"meant"}


def test_the_curve_of_an_overfit_is_recorded_under_the_tests_name(proofs):
    first, second = of(proofs[0], "test_learned", "curves")
    assert (first.name, len(first.values), first.converged, first.seed) == (
        "test_learned",
        40,
        True,
        4,
    )
    assert (second.name, second.values) == ("again", first.values[:3])


def test_a_batch_that_is_not_learned_fails_with_the_reason(proofs):
    outcome = of(proofs[0], "test_not_learned", "outcomes")[0]
    curve = of(proofs[0], "test_not_learned", "curves")[0]
    assert outcome.outcome == "failed"
    assert "one batch was not learned: " in outcome.message
    assert curve.reason in outcome.message


def test_a_metric_takes_whatever_holds_one_number(suite):
    text = """
        import numpy, torch
        def test_it(proof):
            proof.metric("float", 0.5, better="higher", unit="ratio", tolerance="2 %")
            proof.metric("tensor", torch.tensor([0.5], requires_grad=True), tolerance=0.01)
            proof.metric("numpy", numpy.float32(0.5))
            proof.metric("int", 3)
    """
    suite.file("test_it.py", text)
    metrics = suite.record("--torchproof-seed=2").metrics
    assert [(each.name, each.value) for each in metrics] == [
        ("float", 0.5),
        ("tensor", 0.5),
        ("numpy", 0.5),
        ("int", 3),
    ]
    first = metrics[0]
    assert (first.better, first.unit, first.tolerance, first.seed) == ("higher", "ratio", "2%", 2)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_metric_that_is_not_finite_is_recorded_and_fails(suite, value):
    suite.file("test_it.py", f"def test_it(proof): proof.metric('loss', float('{value}'))\n")
    record = suite.record()
    assert record.outcomes[0].outcome == "failed"
    assert f"the metric loss is {value}, not a finite number" in record.outcomes[0].message
    assert not math.isfinite(record.metrics[0].value)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("proof.metric('', 1)", "a name is ''. Give a text of 1 to 200 characters."),
        ("proof.metric('m', 'high')", "the metric 'm' is str, not one number."),
        ("proof.metric('m', [1, 2])", "the metric 'm' is list, not one number."),
        ("proof.metric('m', 1, better='more')", 'better is \'more\'. Give "lower", "higher"'),
        ("proof.metric('m', 1, unit='m' * 65)", "Give a text of at most 64 characters."),
        ("proof.metric('m', 1, tolerance='some')", "tolerance must be a number of 0 or more"),
        ("proof.metric('m', 1), proof.metric('m', 2)", "'m' is recorded twice by this test"),
        ("proof(3)", "build is of the type int, not a function. Pass the function itself: build, "),
        ("proof.overfit(3)", "build is of the type int, not a function."),
    ],
)
def test_a_wrong_argument_is_one_sentence(suite, call, sentence):
    suite.file("test_it.py", f"def test_it(proof): {call}\n")
    record = suite.record()
    assert record.outcomes[0].outcome == "failed"
    assert sentence in record.outcomes[0].message


def test_streams_of_a_test_come_from_its_own_seed(suite):
    text = """
        import torch
        def test_it(proof):
            with proof.init():
                weights = torch.rand(3)
            with proof.data(), proof.dropout():
                other = torch.rand(3)
            assert not torch.equal(weights, other)
            draw = torch.rand(3, generator=proof.stream("data"))
            assert proof.python("data").random() != proof.numpy("data").random()
            assert torch.initial_seed() == proof.seed
            assert not proof.update
    """
    suite.file("test_it.py", text)
    suite.run().assert_outcomes(passed=1)
