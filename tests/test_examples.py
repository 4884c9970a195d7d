"""The examples are projects of their own, and their tests pass as a user would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from torchproof.record import load


EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", ["characters", "graphs"])
def test_an_examples_own_tests_pass(name, tmp_path):
    """Its data, its architecture and what its model can do stand in the record, in a minute."""
    arguments = ["-p", "torchproof", f"--torchproof-record={tmp_path / 'record.json'}"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=EXAMPLES / name,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = load(tmp_path / "record.json")
    assert record.passed
    assert {*record.fingerprint} >= {"architecture", "data", "environment"}
    assert any(metric.name.startswith("behaviour/") for metric in record.metrics)
    assert max(outcome.seconds for outcome in record.outcomes) < 60
