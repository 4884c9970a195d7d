"""`proof.architecture`: a test that holds a model against its lock."""

from __future__ import annotations

import pytest

import torchproof.contracts.architecture  # noqa: F401 - torch's lazy parts survive no second import


TEST = """
    import torch
    from torch import nn

    def test_encoder(proof):
        model = nn.Sequential(nn.Linear(6, 4), {act}, nn.Dropout({drop}), nn.Linear(4, 2))
        proof.architecture(model, torch.zeros(2, 6), name="encoder"{more})
"""


@pytest.fixture
def service(suite):
    def write(act="nn.ReLU()", drop=0.1, more=""):
        suite.file("tests/test_model.py", TEST.format(act=act, drop=drop, more=more))

    write()
    suite.write = write
    return suite


@pytest.fixture
def locked(service):
    service.run("--torchproof-update").assert_outcomes(passed=1)
    return service


def test_a_missing_lock_says_how_to_make_it(service):
    result = service.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        "*tests/locks/encoder.arch.json: the architecture encoder has no lock."
        " Make it with pytest --torchproof-update, and commit it."
    )


def test_the_lock_lies_beside_the_test_and_holds(locked):
    assert (locked.path / "tests/locks/encoder.arch.json").is_file()
    record = locked.record()
    assert record.passed
    assert record.fingerprint["architecture"]["encoder"].endswith(" identical")


def test_relu_that_became_leaky_relu_fails_with_the_verdict_in_its_first_line(locked):
    locked.write(act="nn.LeakyReLU()")
    record = locked.record()
    (outcome,), (finding,) = record.outcomes, record.findings
    first, *others = outcome.message.splitlines()
    assert first == "torchproof: encoder: function changed: relu → leaky_relu in 1"
    assert "answers differ by" in others[0]
    assert (finding.rule, finding.severity) == ("architecture-changed", "error")
    assert finding.evidence["lock"] == "tests/locks/encoder.arch.json"
    assert record.fingerprint["architecture"]["encoder"].endswith(" function changed")


def test_an_update_accepts_what_is_there(locked):
    locked.write(act="nn.LeakyReLU()")
    locked.run("--torchproof-update").assert_outcomes(passed=1)
    locked.run().assert_outcomes(passed=1)


def test_what_only_training_does_is_a_warning(locked):
    locked.write(drop=0.5)
    record = locked.record()
    assert record.passed
    (finding,) = record.findings
    assert finding.severity == "warning"
    assert finding.message == "encoder: train-only: p=0.1 → p=0.5 in 2"


def test_a_difference_may_be_accepted_with_its_reason(locked):
    locked.write(act="nn.LeakyReLU()", more=", waive='the next release trains it'")
    record = locked.record()
    assert record.passed
    assert record.findings[0].waived == "the next release trains it"


def test_another_repositorys_lock_is_named_and_never_written(locked):
    lock = locked.path / "tests/locks/encoder.arch.json"
    theirs = locked.path / "theirs.arch.json"
    lock.rename(theirs)
    before = theirs.read_bytes()
    locked.write(act="nn.LeakyReLU()", more=", lock='theirs.arch.json'")
    locked.run("--torchproof-update").assert_outcomes(failed=1)
    assert theirs.read_bytes() == before
    assert not lock.exists()


@pytest.mark.parametrize("name", ["../encoder", "", "a/b"])
def test_a_name_is_that_of_a_file(service, name):
    service.file(
        "tests/test_model.py",
        TEST.format(act="nn.ReLU()", drop=0, more="").replace('"encoder"', repr(name)),
    )
    result = service.run()
    result.stdout.fnmatch_lines("*Give letters, digits, dots and dashes: it is a file's name.*")
