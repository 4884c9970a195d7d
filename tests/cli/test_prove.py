"""torchproof prove: a training step, named by its file and function."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


STARTER = Path(__file__).parents[2] / "templates/test_training_step.py"
WRONG = STARTER.read_text().replace("        optimizer.zero_grad()\n", "")


def prove(directory, source, *options):
    """Prove in a process of its own, as torch would stay in this one."""
    (directory / "step.py").write_text(source)
    argv = [sys.executable, "-m", "torchproof.cli", "prove", "step.py:build", *options]
    return subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=False)


def test_the_starter_test_has_a_right_step(tmp_path):
    done = prove(tmp_path, STARTER.read_text(), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["passed"] is True
    assert document["cost"]["builds"] > 0


def test_a_wrong_step_is_1_and_names_the_rule(tmp_path):
    done = prove(tmp_path, WRONG, "--rule", "stale-gradients")
    assert done.returncode == 1, done.stderr
    assert "stale-gradients" in done.stdout
    assert "step.py:" in done.stdout


def test_without_torch_it_says_what_to_install(tmp_path):
    program = (
        "import sys; sys.modules['torch'] = None; from torchproof.cli import main;"
        "sys.exit(main(['prove', 'step.py:build']))"
    )
    (tmp_path / "step.py").write_text("def build(): ...\n")
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("torchproof: torch is not installed in this environment. ")


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("nowhere.py:build", "there is no file nowhere.py. Write path/to/file.py:name_of"),
        ("one.py", "one.py: the function is missing. Write path/to/file.py:name_of"),
        ("nowhere.py", "there is no file nowhere.py"),
        ("one.py:make", "one.py: it has no function make. Check the name after the colon."),
        ("one.txt:build", "one.txt: the file is not Python source"),
        ("two.py:build", "two.py: it cannot be imported: SyntaxError: "),
        ("three.py:build", "three.py: it cannot be imported: ModuleNotFoundError: No module named"),
        ("four.py:build", "four.py: it cannot be imported: SystemExit: 3. Correct it"),
        ("five.py:build", "five.py:build: it wants arguments: missing a required argument: 'rate'"),
    ],
)
def test_a_wrong_name_is_one_sentence(torchproof, project, target, sentence):
    sources = {
        "one.py": "",
        "one.txt": "",
        "two.py": "def",
        "three.py": "import nonesuch",
        "four.py": "raise SystemExit(3)",
        "five.py": "def build(rate): ...",
    }
    for name, text in sources.items():
        (project / name).write_text(text)
    result = torchproof("prove", target)
    assert result.code == 2
    assert sentence in result.sentence


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("        model(batch)\n", "TypeError: linear(): argument 'input'"),
        ("        raise SystemExit('no data')\n", "SystemExit: no data."),
    ],
)
def test_a_step_that_fails_is_one_sentence_with_the_users_line(tmp_path, wrong, error):
    source = STARTER.read_text().replace("        optimizer.zero_grad()\n", wrong)
    done = prove(tmp_path, source)
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"torchproof: step.py:15: the code failed: {error}")
    assert sentence.endswith(". Correct it, then run this again.")
    assert (done.returncode, done.stdout) == (2, "")
