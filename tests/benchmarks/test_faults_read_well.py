"""The corpus' bugs as a user meets them: a pytest test that fails, and says all it has to."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.faults.case import cases


ROOT = Path(__file__).parents[2]
CHOSEN = [case for case in cases().values() if case.quick][::4]
SUITE = """
import functools, pytest
from benchmarks.faults.case import cases

@pytest.mark.parametrize("name", {names})
@pytest.mark.parametrize("right", [True, False])
def test_training_step(proof, name, right):
    proof(functools.partial(cases()[name].build, right=right))
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What pytest prints for the chosen bugs and their right twins."""
    folder = tmp_path_factory.mktemp("suite")
    suite = folder / "test_suite.py"
    suite.write_text(SUITE.format(names=[case.name for case in CHOSEN]))
    options = ["-p", "torchproof", "-p", "no:randomly", "-p", "no:cacheprovider", "-rA"]
    paths = f"--override-ini=pythonpath={ROOT} {ROOT / 'src'}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, paths, f"--rootdir={folder}", str(suite)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name)
def test_a_bug_fails_with_its_rule_its_line_and_a_remedy(output, case):
    _, _, section = output.partition(f"test_training_step[False-{case.name}] _")
    section = section.partition("\n____")[0].partition("\n====")[0]
    assert any(f"error [{rule}]: " in section for rule in case.rules), section
    assert "  remedy:   " in section
    assert "  accept:   torchproof.Trainee(" in section
    assert "src/torchproof/proofs" not in section
    assert re.search(rf"PASSED \S*\[True-{case.name}\]", output)
