"""The plugin as pytest users meet it: header, tiers, settings, errors, warnings."""

from __future__ import annotations

import pytest


MARKED = """
    import os, pytest
    def test_plain(): pass
    @pytest.mark.slow
    def test_slow(): pass
    @pytest.mark.overfit
    def test_overfit(): pass
"""


def test_the_header_says_seed_device_torch_and_tier(suite):
    suite.file("test_it.py", MARKED)
    result = suite.run("--torchproof-seed=7", "--torchproof-tier=unit")
    result.stdout.fnmatch_lines(["torchproof: seed 7, c*, torch *, tier unit"])
    assert suite.run().stdout.fnmatch_lines(["torchproof: seed 0, c*, torch [0-9]*"]) is None


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ([], 3),
        (["--torchproof-tier=unit"], 1),
        (["--torchproof-tier=overfit"], 1),
        (["--torchproof-tier=unit", "-m", "slow or not overfit"], 1),
        (["--torchproof-tier=all", "-m", "slow"], 1),
    ],
)
def test_a_tier_selects_by_its_expression_and_the_users(suite, options, passed):
    suite.file("pyproject.toml", '[tool.torchproof.tiers.all]\nmarkers = ""\n')
    suite.file("test_it.py", MARKED)
    suite.run("--strict-markers", *options).assert_outcomes(passed=passed, deselected=3 - passed)


def test_a_tier_selects_the_same_under_xdist(suite):
    suite.file("test_it.py", MARKED)
    suite.run("-n1", "--torchproof-tier=unit", apart=True).assert_outcomes(passed=1)


def test_the_environment_of_a_tier_is_there_when_conftest_is_imported(suite):
    suite.file("torchproof.toml", '[tiers.unit]\nenv = { TP_TIER = "1" }\n')
    suite.file("conftest.py", 'import os\nassert os.environ["TP_TIER"] == "1"\n')
    suite.file("test_it.py", "def test_it(): pass\n")
    suite.run("--torchproof-tier=unit").assert_outcomes(passed=1)


def test_a_tier_without_tests_ends_as_pytest_does_and_says_why(suite):
    suite.file("test_it.py", "def test_it(): pass\n")
    result = suite.run("--torchproof-tier=overfit", "--torchproof-record=run.json")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    sentence = "tier overfit: -m 'overfit' selects no test"
    result.stdout.fnmatch_lines([f"torchproof: {sentence}"])
    assert sentence in (suite.path / "run.json").read_text()


@pytest.mark.parametrize(
    ("config", "options", "sentence"),
    [
        ("", ["--torchproof-tier=unti"], "*there is no tier 'unti'. Known tiers: *"),
        ("sede = 3", [], "*torchproof.toml:1: sede is not a key*Did you mean seed?*"),
        ("", ["--torchproof-config=none.toml"], "*none.toml: there is no such file*"),
        ("", ["--torchproof-seed=-2"], "--torchproof-seed: the seed is -2. Give 0 or more."),
        ("", ["--torchproof-record=/"], "/: cannot write: Is a directory. Name a file that *"),
    ],
)
def test_what_is_wrong_is_one_sentence_before_any_test_runs(suite, config, options, sentence):
    suite.file("torchproof.toml", config)
    suite.file("test_it.py", "def test_it(): pass\n")
    result = suite.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: torchproof: {sentence}"])


def test_settings_can_come_from_a_file_of_any_name(suite):
    suite.file("other.toml", "seed = 11\n")
    suite.file("test_it.py", "def test_it(): pass\n")
    result = suite.run("--torchproof-config=other.toml")
    result.stdout.fnmatch_lines(["torchproof: seed 11, *"])


TORCH = """
    import torch
    def test_broadcast():
        torch.nn.functional.mse_loss(torch.zeros(3), torch.zeros(3, 1))
    def test_deterministic():
        assert torch.are_deterministic_algorithms_enabled()
"""


def test_a_cpu_tier_is_deterministic_and_fails_on_a_broadcast_loss(suite):
    suite.file("test_it.py", TORCH)
    suite.run("--torchproof-tier=unit").assert_outcomes(passed=1, failed=1)
    suite.run().assert_outcomes(passed=1, failed=1, warnings=1)


def test_determinism_can_be_switched_off(suite):
    suite.file("torchproof.toml", "deterministic = false\n")
    suite.file("test_it.py", TORCH)
    suite.run("--torchproof-tier=unit").assert_outcomes(failed=2)


def test_the_plugin_can_be_switched_off(suite):
    suite.file("test_it.py", "def test_it(): pass\n")
    result = suite.run("-p", "no:torchproof")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*torchproof:*")


def test_the_name_loads_the_plugin_where_autoloading_is_off(suite, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    suite.file("test_it.py", "def test_it(proof): proof.metric('m', 1)\n")
    command = ["-p", "torchproof", "-p", "xdist", "-n1", "--torchproof-tier=unit"]
    record = suite.record(*command, apart=True)
    assert [metric.value for metric in record.metrics] == [1]
