"""`proof.trained` with ``--torchproof-fingerprint``: nothing is trained, and the gate can hold."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from textwrap import dedent

import pytest
import torch

from torchproof.record import load
from torchproof.verdict import unchanged


MODEL = """
    import torch, torchproof

    def build():
        return torch.nn.Linear(2, 2)

    def train(model, data, rate=0.1):
        raise RuntimeError("nothing is trained in this mode")

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss
"""
EVALUATION = """
    def accuracy(model, x, y):
        return (model(x).argmax(1) == y).float().mean()
"""
CONFTEST = """
    import pytest, torch
    from pkg.model import build, train

    X = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 2.0]])

    @pytest.fixture(scope="session")
    def data():
        return X, torch.tensor([0, 1, 0, 1])

    @pytest.fixture(scope="session")
    def kept():
        return {}

    @pytest.fixture
    def trained_model(proof, data):
        return proof.trained(train, build=build, data=data, config={"rate": 0.5})

    @pytest.fixture
    def shared(proof, data, kept):
        if "model" not in kept:
            kept["model"] = proof.trained(train, build=build, data=data)
        return kept["model"]
"""
TESTS = """
    import torch, torchproof
    from pkg.evaluation import accuracy
    from pkg.model import build, step, train

    def test_reads(proof, trained_model, data):
        assert not trained_model.training
        proof.metric("accuracy", accuracy(trained_model, *data))

    def test_behaves(proof, trained_model, data):
        proof.behaviour("swap", kind="MFT", inputs=data[0], expect=[2, 2, 2, 2])
        proof.trained(train, build=build, data=data, name="another")

    def test_asserts(trained_model, data):
        assert accuracy(trained_model, *data) > 1

    def test_two(proof, data):
        first, second = (
            proof.trained(train, build=build, data=data, config={"rate": rate})
            for rate in (0.1, 0.2)
        )
        assert first is not second

    def test_again(proof, trained_model, data):
        proof.trained(train, build=build, data=data, config={"rate": 0.5})

    def test_checkpoint(proof):
        model = proof.trained(build=build, checkpoint="right.pt")
        assert model.bias.tolist() == [0, 0]

    def test_tunes(trained_model, data):
        optimizer = torch.optim.SGD(trained_model.parameters(), 0.1)
        for _ in range(10**9):
            step(trained_model, optimizer, {"x": data[0], "y": data[1]})

    def test_learns(proof, trained_model, data):
        def make():
            model = build()
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
            batch = {"x": data[0], "y": data[1]}
            return torchproof.Trainee(model, batch, lambda batch: step(model, optimizer, batch))
        proof.overfit(make)

    def test_asserts_first(proof, trained_model, data):
        assert accuracy(trained_model, *data) > 1, "not trained"
        proof.metric("accuracy", accuracy(trained_model, *data))

    def test_ends_before_its_second_model(proof, trained_model, data):
        assert accuracy(trained_model, *data) > 1
        proof.trained(train, build=build, data=data)

    def test_ends_in_a_loop(proof, data):
        for rate in (0.1, 0.2):
            model = proof.trained(train, build=build, data=data, config={"rate": rate})
            assert accuracy(model, *data) > 1

    def test_shared(shared):
        pass

    def test_shares_what_another_test_asked_for(shared):
        pass
"""
FILES = {
    "pkg/__init__.py": "",
    "pkg/model.py": MODEL,
    "pkg/evaluation.py": EVALUATION,
    "conftest.py": CONFTEST,
    "test_it.py": TESTS,
}
KEY = "from:"
WEIGHTS = torch.eye(2)
UNKNOWN = ("ends_before_its_second_model", "ends_in_a_loop")
ALONE = "not share and not again and not ends"  # the tests of which each has models of its own


def run(path, *options, weights=WEIGHTS, **changes):
    """Run the tests in this mode, with some files changed; return the record."""
    for name, text in FILES.items():
        (path / name).parent.mkdir(exist_ok=True)
        old, new = changes.get((path / name).stem, ("", ""))
        assert old in text
        (path / name).write_text(dedent(text.replace(old, new) if old else text))
    torch.save({"weight": weights, "bias": torch.zeros(2)}, path / "right.pt")
    fixed = ["-p", "no:randomly", "-p", "no:cacheprovider", "--torchproof-record=run.json"]
    command = [sys.executable, "-m", "pytest", *fixed, "--torchproof-fingerprint", *options]
    subprocess.run(command, cwd=path, capture_output=True, check=False, timeout=120)
    return load(path / "run.json")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return run(tmp_path_factory.mktemp("first"))


def training(record):
    return {
        test.partition("::test_")[2]: value
        for test, value in record.fingerprint["training"].items()
    }


def gate(head, base):
    """Ask the gate of a head's tests; the stored run of the baseline passed."""
    tests = {each.test for each in head.outcomes}
    base = replace(base, outcomes=tuple(each for each in base.outcomes if each.test in tests))
    passed = tuple(replace(each, outcome="passed") for each in base.outcomes)
    stored = replace(base, outcomes=passed, exit_code=0)
    return unchanged("integration", [head], [base], [stored])


def test_every_test_that_asks_for_a_trained_model_says_what_it_is_made_from(first):
    made = {test: value.count(KEY) for test, value in training(first).items()}
    assert made == {
        "reads": 1,
        "behaves": 2,
        "asserts": 1,
        "asserts_first": 1,
        "two": 2,
        "again": 1,
        "checkpoint": 1,
        "tunes": 1,
        "learns": 1,
        "shared": 1,
    }
    assert {value.split()[0] for value in training(first).values()} == {"test"}


def test_nothing_is_judged_of_an_untrained_model(first):
    ends = {each.test.partition("::test_")[2]: each.outcome for each in first.outcomes}
    failed = {test for test in ends if ends[test] == "failed"}
    assert failed == {"asserts", "asserts_first", *UNKNOWN}
    assert not first.metrics
    assert not first.examples


def test_a_model_is_the_same_one_in_every_test_that_asks_for_it(first):
    keys = {test: value.split()[2:] for test, value in training(first).items()}
    assert keys["reads"] == keys["asserts"] == keys["again"] == keys["behaves"][:1]
    assert keys["behaves"][1:] == keys["shared"], "the name alone is another"
    assert len({*keys["two"], *keys["reads"], *keys["shared"], *keys["checkpoint"]}) == 5


def test_what_follows_a_trained_model_counts_by_its_bits_too(first):
    steps = {test: training(first)[test].split()[2].count(",") for test in ("tunes", "learns")}
    assert steps == {"tunes": 4, "learns": 4}


def test_an_unchanged_project_need_not_run(first, tmp_path):
    again = run(tmp_path, "-n2", "-k", ALONE)
    assert training(again).items() <= training(first).items()
    answer = gate(again, first)
    assert answer.holds, answer
    assert answer.why == (
        "bit-equal to the baseline over the first 5 steps of 2 trainees"
        " and in what makes 5 trained models"
    )


def test_a_test_that_ends_before_it_has_asked_for_all_its_models_keeps_the_gate_open(first):
    assert not training(first).keys() & {*UNKNOWN}


def test_a_model_that_another_test_asked_for_keeps_the_gate_open(first):
    answer = gate(first, first)
    assert not answer.holds
    assert "3 of 13 tests left no fingerprint" in answer.why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"model": ("nothing is trained", "nothing at all is trained")},
            "the code or the configuration that a trained model is made from changed",
        ),
        (
            {"conftest": ('config={"rate": 0.5}', 'config={"rate": 0.6}')},
            "the code or the configuration that a trained model is made from changed",
        ),
        ({"conftest": ("[0, 1, 0, 1]", "[0, 1, 1, 0]")}, "the data changed"),
        (
            {"evaluation": ("argmax", "argmin")},
            "the code changed, and the test does more than train a trainee",
        ),
    ],
)
def test_a_change_is_a_reason_in_words(first, tmp_path, changes, why):
    answer = gate(run(tmp_path, "-k", ALONE, **changes), first)
    assert (answer.holds, answer.why) == (False, why)


def test_another_checkpoint_is_another_model(first, tmp_path):
    other = run(tmp_path, "-k", ALONE, weights=torch.zeros(2, 2))
    assert training(other)["checkpoint"] != training(first)["checkpoint"]
    assert gate(other, first).why == "the data changed"
