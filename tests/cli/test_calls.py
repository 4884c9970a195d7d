"""How the command line answers: help, exit codes, one sentence for a mistake."""

from __future__ import annotations

import os
import shutil
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


@pytest.mark.parametrize("group", [(), ("history",), ("lock",)])
def test_a_list_of_commands_cuts_no_sentence(torchproof, group, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    commands = torchproof(*group, "--help").out.partition("Commands:\n")[2]
    assert all(line.endswith(".") for line in commands.splitlines())
    assert "..." not in commands


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


POWERS = "-dac_override,-dac_read_search"
PLAIN = ["setpriv", f"--bounding-set={POWERS}", f"--inh-caps={POWERS}"] if not os.geteuid() else []


@pytest.mark.skipif(bool(PLAIN) and not shutil.which("setpriv"), reason="root may read everything")
@pytest.mark.parametrize(
    ("closed", "code", "sentence"),
    [
        ("pyproject.toml", 2, "pyproject.toml: the file cannot be read: Permission denied."),
        ("tests", 3, "tests: permission denied. Give this user access."),
    ],
)
def test_what_may_not_be_read_is_one_sentence(tmp_path, closed, code, sentence):
    (tmp_path / "pyproject.toml").write_text("[tool.torchproof]\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / closed).chmod(0)
    argv = [*PLAIN, sys.executable, "-m", "torchproof.cli", "score"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"torchproof: {sentence}")
