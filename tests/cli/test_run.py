"""torchproof run and torchproof init: a user's own project on this machine."""

from __future__ import annotations

import pytest
import yaml

from torchproof import record


GREEN = """
def test_sum(proof):
    proof.metric("sum", 4.0, better="higher")
"""


@pytest.fixture
def tests(project):
    """Give a function that writes the project's one test file."""

    def write(text):
        (project / "test_sum.py").write_text(text)

    return write


def test_a_run_writes_a_valid_record(torchproof, project, tests):
    tests(GREEN)
    result = torchproof("run", "--tier", "unit", "--record", "out/unit.json")
    assert result.code == 0, result.err
    made = record.load(project / "out/unit.json")
    assert (made.tier, made.state) == ("unit", "complete")
    assert [metric.name for metric in made.metrics] == ["sum"]
    assert "torchproof: 1 check passes" in result.out
    assert "1 passed" in result.err, "the tests' own output goes to stderr"


def test_a_failing_test_is_1_and_the_json_is_the_record(torchproof, tests):
    tests("def test_sum(proof):\n    proof.metric('sum', float('nan'))\n    assert False\n")
    result = torchproof("run", "--json", "--seed", "3")
    assert result.code == 1
    assert (result.json["seed"], result.json["exit_code"]) == (3, 1)
    assert result.json["metrics"][0]["value"] == "nan"


def test_a_test_that_dies_leaves_a_record(torchproof, project, tests):
    tests("import os\n\ndef test_sum():\n    os._exit(3)\n")
    result = torchproof("run", "--record", "unit.json")
    assert result.code == 1
    assert record.load(project / "unit.json").state == "crashed"
    assert "test_sum" in result.out


def test_no_test_at_all_is_said(torchproof, tests):
    tests("")
    result = torchproof("run")
    assert result.code == 1
    assert "no test was collected" in result.out


def test_an_unknown_tier_names_the_known_ones(torchproof, project):
    result = torchproof("run", "--tier", "unti")
    assert result.code == 2
    assert result.sentence.endswith("Known tiers: unit, overfit, integration, nightly.")


def test_a_broken_configuration_is_one_sentence_with_its_line(torchproof, project):
    (project / "pyproject.toml").write_text("[tool.torchproof]\n\nsed = 1\n")
    result = torchproof("run")
    assert result.code == 2
    assert "pyproject.toml:3: sed is not a key of [tool.torchproof]. Did you" in result.sentence


def test_a_record_that_cannot_be_written_is_one_sentence(torchproof, project, tests):
    tests(GREEN)
    (project / "out").touch()
    result = torchproof("run", "--record", "out/unit.json")
    assert result.code == 2
    assert "out/unit.json: it cannot be written" in result.sentence, "before a test has run"


def test_a_seed_below_0_is_a_wrong_call(torchproof, project, tests):
    tests(GREEN)
    result = torchproof("run", "--seed", "-1")
    assert (result.code, "Invalid value for '--seed'" in result.err) == (2, True)


def test_markers_that_are_no_expression_are_named(torchproof, project, tests):
    tests(GREEN)
    (project / "pyproject.toml").write_text('[tool.torchproof.tiers.unit]\nmarkers = "not (gpu"\n')
    result = torchproof("run")
    assert result.code == 1
    assert "pytest cannot read the tier's marker expression" in result.out
    assert "not-run" not in result.out


def test_without_a_baseline_nothing_is_called_unchanged(torchproof, tests):
    tests(GREEN)
    lines = torchproof("run").out.splitlines()
    assert "1 passed" in lines


def test_init_writes_a_workflow_and_a_first_test(torchproof, project):
    result = torchproof("init")
    assert result.code == 0
    workflow = yaml.safe_load((project / ".github/workflows/torchproof.yml").read_text())
    assert workflow["permissions"] == {}
    compile((project / "tests/test_training_step.py").read_text(), "test", "exec")
    assert result.out.count("written") == 2


def test_init_overwrites_nothing(torchproof, project):
    torchproof("init")
    mine = project / "tests/test_training_step.py"
    mine.write_text("mine")
    result = torchproof("init")
    assert result.code == 0
    assert result.out.count("kept") == 2
    assert mine.read_text() == "mine"


def test_init_outside_a_checkout_is_one_sentence(torchproof, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = torchproof("init")
    assert result.code == 2
    assert "this is not the top of a git checkout" in result.sentence
    assert not list(tmp_path.iterdir())
