"""How the command line answers: help, exit codes, one sentence for a mistake."""

from __future__ import annotations

import subprocess
import sys

import pytest

from torchproof.cli import MISSING
from torchproof.commands import torchproof as group


COMMANDS = [(name,) for name in group.commands] + [
    ("history", name) for name in group.commands["history"].commands
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(torchproof, command):
    result = torchproof(*command, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: torchproof {' '.join(command)}")
    summary = result.out.split("\n\n")[1].strip()
    assert summary.endswith(".")


def test_it_says_its_version(torchproof):
    assert torchproof("--version").out.startswith("torchproof, version 0.")


@pytest.mark.parametrize(
    "call", [("shine",), ("run", "--tiers", "x"), ("prove",), ("report", "x", "--format", "pdf")]
)
def test_a_wrong_call_is_2(torchproof, call):
    result = torchproof(*call)
    assert result.code == 2
    assert "Error: " in result.err
    assert not result.out


def test_without_the_action_side_it_says_what_to_install():
    program = (
        "import sys; sys.modules['click'] = None; from torchproof.cli import main; exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (3, MISSING)


def test_the_program_is_installed(tmp_path):
    argv = [sys.executable, "-m", "torchproof.cli", "history", "list", "--remote", "nowhere"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("torchproof: ")
    assert "Traceback" not in done.stderr
