"""`proof.behaviour` and `proof.trained` as a test author uses them."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest
import torch

from torchproof.record import load


MODEL = """
    import os, torch

    def build():
        return torch.nn.Linear(2, 2)

    def train(model, data, rate=0.1):
        with open("trainings", "a") as log:
            log.write("trained\\n")
        x, y = data
        for _ in range(50):
            model.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            with torch.no_grad():
                for each in model.parameters():
                    each -= rate * each.grad
"""
TESTS = """
    import pytest, torch
    from pkg.model import build, train

    X = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    Y = torch.tensor([0, 1, 0, 1])

    @pytest.fixture
    def trained_model(proof):
        return proof.trained(train, build=build, data=(X, Y), config={"rate": 0.5})

    def test_learned(proof, trained_model):
        found = proof.behaviour("corners", kind="MFT", inputs=X, expect=Y)
        assert found.rate.failures == 0

    def test_invariance(proof, trained_model):
        proof.behaviour("scale", kind="INV", inputs=X, expect=lambda x: 3 * x)

    def test_direction(proof, trained_model):
        def second(x):
            return trained_model(x).softmax(1)[:, 1]
        proof.behaviour("more is more", kind="DIR", inputs=X, predict=second,
                        perturb=lambda x: x + torch.tensor([0.0, 1.0]), expect="increase")

    def test_mutated(trained_model):
        torch.nn.init.zeros_(trained_model.weight)

    def test_wrong(proof, trained_model):
        proof.behaviour("swap", kind="INV", inputs=X, expect=lambda x: x.flip(0),
                        slices={"long": X.sum(1) > 1, "axis": ["x", "y", "x", "y"]})

    def test_served(proof, trained_model):
        proof.handover(trained_model, "service:load", inputs=X)

    def test_allowed(proof, trained_model):
        proof.behaviour("swap", kind="INV", inputs=X, expect=lambda x: x.flip(0), allow=1)
"""

SERVICE = """
    import torch
    from pkg.model import build

    def load(path):
        model = build()
        model.load_state_dict(torch.load(path))
        return lambda inputs: model(inputs / 255)
"""
CHECKPOINT = """
    import torch
    from pkg.model import build

    def test_own(proof):
        model = proof.trained(build=build, checkpoint="right.pt", name="right")
        proof.behaviour("corner", kind="MFT", inputs=torch.eye(2), expect=[0, 1], model=model)

    def test_foreign(proof):
        proof.trained(build=build, checkpoint="wrong.pt")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run of TESTS on two workers: the directory, the record and the terminal output."""
    path = tmp_path_factory.mktemp("project")
    (path / "pkg").mkdir()
    (path / "pkg" / "__init__.py").write_text("")
    (path / "pkg" / "model.py").write_text(dedent(MODEL))
    (path / "test_it.py").write_text(dedent(TESTS))
    (path / "service.py").write_text(dedent(SERVICE))
    (path / "test_checkpoint.py").write_text(dedent(CHECKPOINT))
    torch.save({"state_dict": {"weight": torch.eye(2), "bias": torch.zeros(2)}}, path / "right.pt")
    torch.save(torch.nn.Linear(2, 2), path / "wrong.pt")
    options = ["-p", "no:randomly", "--torchproof-record=run.json", "--rootdir=.", "-n2"]
    command = [sys.executable, "-m", "pytest", *options]
    done = subprocess.run(
        command, cwd=path, capture_output=True, text=True, check=False, timeout=120
    )
    return path, load(path / "run.json"), done.stdout


def of(record, test):
    (found,) = [each for each in record.outcomes if each.test.endswith(f"::{test}")]
    return found


def test_one_training_serves_all_tests_and_workers(run):
    path, record, output = run
    ends = {each.test.partition("::")[2]: each.outcome for each in record.outcomes}
    failing = dict.fromkeys(("test_wrong", "test_foreign", "test_served"), "failed")
    assert ends == {**dict.fromkeys(ends, "passed"), **failing}, output
    assert (path / "trainings").read_text() == "trained\n"
    assert record.fingerprint["data"]["model data"].startswith("sha256:")


def test_the_tests_of_another_tier_share_the_training(run):
    path, _, _ = run
    marked = "@pytest.mark.integration\ndef test_served_again(proof, trained_model):"
    body = dedent(TESTS).partition("def test_learned")[0] + marked + "\n    assert trained_model\n"
    (path / "test_integration.py").write_text(body)
    options = ["-p", "no:randomly", "--rootdir=.", "--torchproof-tier=integration"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=path, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout
    assert (path / "trainings").read_text() == "trained\n"


def test_a_failure_shows_inputs_and_answers(run):
    output = pytest.LineMatcher(run[2].splitlines())
    output.fnmatch_lines(
        [
            "E * torchproof: swap (INV): 4 of 4 inputs fail, 100 % (95 % interval 51 % to 100 %)*",
            "E *    long: 2 of 2 inputs fail, 100 % *",
            "E *    axis=x: 2 of 2 inputs fail, 100 % *",
            "E *    input     [[]1, 0]",
            "E *              → [[]0, 1]",
            "E *    expected  0",
            "E *    got       1",
        ]
    )
    output.no_fnmatch_line("*pytest.fail(*")


def test_the_record_holds_rates_interval_and_first_failures(run):
    record = run[1]
    metrics = [each for each in record.metrics if each.test.endswith("::test_wrong")]
    values = {each.name: each.value for each in metrics}
    assert values == {
        "behaviour/swap": 1.0,
        "behaviour/swap/long": 1.0,
        "behaviour/swap/axis=x": 1.0,
        "behaviour/swap/axis=y": 1.0,
        "behaviour/swap/95% low": pytest.approx(0.51, abs=0.001),
        "behaviour/swap/95% high": 1.0,
    }
    judged = {each.name for each in metrics if each.better == "lower"}
    assert judged == {name for name in values if "95%" not in name}
    examples = [each for each in record.examples if each.test.endswith("::test_wrong")]
    assert [each.shown for each in examples[:2]] == ["[1, 0]\n→ [0, 1]", "[0, 1]\n→ [1, 0]"]
    assert (examples[0].name, examples[0].expected, examples[0].got) == ("swap", "0", "1")


def test_a_checkpoint_is_used_and_its_version_recorded(run):
    assert run[1].fingerprint["data"]["right checkpoint"].startswith("sha256:")


def test_a_checkpoint_that_would_run_code_is_refused(run):
    assert "nothing else is unpickled" in of(run[1], "test_foreign").message


def test_a_service_that_answers_otherwise_is_a_finding_that_names_the_cause(run):
    (finding,) = [each for each in run[1].findings if each.test.endswith("::test_served")]
    assert finding.rule == "handover-preprocessing"
    assert "255 times as small" in finding.message
    assert "service:load does not answer as training did" in of(run[1], "test_served").message
    (metric,) = [each for each in run[1].metrics if each.name == "handover/model"]
    assert metric.value > 0
