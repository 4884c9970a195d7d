"""The mode ``--torchproof-fingerprint`` in real runs of pytest, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from torchproof.record import load


PROGRAM = """
    import torch, torchproof

    RATE = 1e-2

    def make(rate=RATE, **options):
        def build():
            model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5))
            optimizer = torch.optim.Adam(model.parameters(), rate)
            train = lambda batch: step(model, optimizer, batch)
            return torchproof.Trainee(model, batch(), train, **options)
        return build

    def batch():
        return {"x": torch.linspace(-1, 1, 24).reshape(6, 4), "y": torch.tensor([0, 1, 2] * 2)}

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    def accuracy(model):
        return (model(batch()["x"]).argmax(1) == batch()["y"]).float().mean()
"""
TESTS = """
    import pytest, torch
    from program import accuracy, batch, make, step

    def test_proof(proof):
        assert proof(make()).passed

    def test_overfit(proof):
        result = proof.overfit(make(), steps=300)
        assert result.converged and len(result.curve) == result.steps

    def test_two(proof):
        for rate in (0.1, 0.2):
            proof.overfit(make(rate), name=f"at {rate}")

    @pytest.fixture
    def proven(proof):
        return proof(make())

    def test_in_a_fixture(proven):
        assert proven.passed

    def test_strict(proof):
        assert proof.overfit(make(), steps=300).curve[-1] < 0.01

    def test_measures(proof):
        proof(make())
        proof.metric("seconds", 1.0)

    def test_trains(proof):
        model = torch.nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(10**9):
            step(model, optimizer, batch())

    @pytest.fixture(scope="module")
    def trained():
        model = torch.nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(10**9):
            step(model, optimizer, batch())

    def test_with_a_fixture_that_trains(trained):
        pass

    def test_needs_a_gpu():
        torch.zeros(1, device="cuda")

    def test_trains_nothing(proof):
        assert torch.get_num_threads() == 1
"""


def run(path, *options, program=PROGRAM, tests=TESTS, environ=()):
    """Run the tests in this mode; return the record and the terminal's text."""
    (path / "program.py").write_text(dedent(program))
    (path / "test_it.py").write_text(dedent(tests))
    fixed = ["-p", "no:randomly", "-p", "no:cacheprovider", "--torchproof-record=run.json"]
    command = [sys.executable, "-m", "pytest", *fixed, "--torchproof-fingerprint", *options]
    env = {"PATH": "/usr/bin:/bin", **dict(environ)}
    done = subprocess.run(
        command, cwd=path, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    return load(path / "run.json"), done.stdout


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return run(tmp_path_factory.mktemp("first"))


def facts(record, kind):
    found = record.fingerprint.get(kind, {})
    return {test.partition("::test_")[2]: value for test, value in found.items()}


def test_every_test_that_trains_leaves_its_bits(first):
    record, _ = first
    left = {test: value.split()[0] for test, value in facts(record, "training").items()}
    assert left == {
        "proof": "trainee",
        "overfit": "trainee",
        "two": "trainee",
        "in_a_fixture": "trainee",
        "strict": "test",
        "measures": "test",
        "trains": "test",
    }
    assert facts(record, "code").keys() == left.keys()


def test_nothing_is_judged(first):
    record, _ = first
    assert not record.curves
    assert not record.metrics
    assert not record.findings
    ends = {each.test.partition("::test_")[2]: each.outcome for each in record.outcomes}
    assert ends["overfit"] == ends["two"] == ends["trains_nothing"] == "passed"
    assert ends["strict"] == ends["needs_a_gpu"] == "failed"


def test_a_test_that_trains_by_itself_ends_after_some_updates(first):
    record, _ = first
    said = {each.test.partition("::test_")[2]: each.message for each in record.outcomes}
    assert "followed for 5 updates" in said["trains"]
    assert "a fixture trains" in said["with_a_fixture_that_trains"]


def test_each_step_of_each_trainee_has_its_digest(first):
    _, _, *trainees = facts(first[0], "training")["two"].split()
    assert [each.count(",") for each in trainees] == [4, 4]
    assert trainees[0] != trainees[1]


def same(record, first, kind):
    """Tell whether a run of some of the tests has the facts that the first run has for them."""
    found = facts(record, kind)
    return bool(found) and found.items() <= facts(first[0], kind).items()


def test_the_bits_are_the_same_in_other_processes_with_other_threads(first, tmp_path):
    again, _ = run(tmp_path, "-n2", "-k", "overfit or two", environ={"OMP_NUM_THREADS": "2"})
    assert same(again, first, "training")


def test_a_comment_and_another_layout_change_nothing(first, tmp_path):
    program = PROGRAM.replace("RATE = 1e-2", "RATE = (  # of learning\n        1e-2\n    )")
    again, _ = run(tmp_path, "-k", "two", program=program, tests=TESTS + "\n    # the end\n")
    assert same(again, first, "training")
    assert same(again, first, "code")


def test_a_change_of_training_changes_the_bits(first, tmp_path):
    program = PROGRAM.replace("RATE = 1e-2", "RATE = 2e-2")
    faster, _ = run(tmp_path, "-k", "overfit or two", program=program)
    before, now = facts(first[0], "training"), facts(faster, "training")
    assert {test for test in now if now[test] != before[test]} == {"overfit"}


def test_a_change_of_an_evaluation_changes_the_code_alone(first, tmp_path):
    other, _ = run(tmp_path, "-k", "trains", program=PROGRAM.replace("argmax", "argmin"))
    assert same(other, first, "training")
    assert not same(other, first, "code")


def test_a_changed_test_has_another_source(first, tmp_path):
    changed, _ = run(tmp_path, "-k", "overfit", tests=TESTS.replace("steps=300", "steps=30"))
    own, of_gpu, project = facts(changed, "code")["overfit"].split()
    before = facts(first[0], "code")["overfit"].split()
    assert own != before[0]
    assert of_gpu == before[1]
    assert project != before[2], "the test is loaded like the rest of the project"


def test_the_gpu_is_hidden_and_the_environment_given_back(suite, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    suite.file(
        "test_it.py", "def test_it(): import os; assert os.environ['CUDA_VISIBLE_DEVICES'] == ''"
    )
    suite.run("--torchproof-fingerprint").assert_outcomes(passed=1)
    import os

    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


def test_without_the_mode_a_test_is_not_followed(suite):
    suite.file("test_it.py", "def test_it(proof): proof.metric('a', 1)")
    record = suite.record()
    assert "training" not in record.fingerprint
    assert len(record.metrics) == 1
