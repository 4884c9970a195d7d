"""Locks from a shell, also where nothing but torch is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import torchproof
from torchproof.cli import main


SOURCE = """
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), torch.zeros(2, 6)

def edited():
    model, example = build()
    model[1] = nn.LeakyReLU()
    return model, example

def wrong():
    return 3

def broken():
    return build()[2]
"""


@pytest.fixture
def service(tmp_path, monkeypatch):
    (tmp_path / "service.py").write_text(dedent(SOURCE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["lock", "make", "service.py:build", "net.arch.json"]) == 0
    return tmp_path


def test_a_model_fits_the_lock_that_was_made_of_it(service, capsys):
    assert main(["lock", "check", "service.py:build", "net.arch.json"]) == 0
    assert "identical" in capsys.readouterr().out


def test_a_model_that_was_edited_does_not(service, capsys):
    assert main(["lock", "check", "service.py:edited", "net.arch.json", "--json"]) == 1
    assert '"verdict": "function changed"' in capsys.readouterr().out


def test_making_a_lock_again_leaves_the_file_as_it_is(service, capsys):
    before = (service / "net.arch.json").stat().st_mtime_ns
    assert main(["lock", "make", "service.py:build", "net.arch.json"]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert (service / "net.arch.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("service.py:wrong", "it returns int, not a pair"),
        ("service.py:gone", "it has no function gone"),
        (
            "service.py:broken",
            "service.py:17: the code failed: IndexError: tuple index out of range",
        ),
        ("gone.py:build", "there is no file gone.py"),
    ],
)
def test_a_call_that_is_wrong_says_what_to_write(service, target, sentence, capsys):
    assert main(["lock", "check", target, "net.arch.json"]) == 2
    assert sentence in capsys.readouterr().err


def alone(service, *argv):
    """Run a module where torch is the only package: click and pytest cannot be imported."""
    for name in ("click", "pytest"):
        absent = f"raise ModuleNotFoundError('there is no {name}', name='{name}')"
        (service / f"{name}.py").write_text(absent)
    source = str(Path(torchproof.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-m", *argv],
        env={**os.environ, "PYTHONPATH": f"{service}{os.pathsep}{source}"},
        capture_output=True,
        text=True,
        check=False,
        cwd=service,
    )


@pytest.mark.parametrize("called", [["torchproof.contracts"], ["torchproof.cli", "lock"]])
def test_locks_are_checked_without_the_action_side(service, called):
    done = alone(service, *called, "check", "service.py:edited", "net.arch.json")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("function changed: relu → leaky_relu in 1\n")


def test_the_json_is_the_same_without_the_action_side(service, capsys):
    check = ("lock", "check", "service.py:edited", "net.arch.json", "--json")
    assert main([*check]) == 1
    assert alone(service, "torchproof.cli", *check).stdout == capsys.readouterr().out


def test_a_wrong_call_without_the_action_side_is_2(service):
    done = alone(service, "torchproof.cli", "lock", "check", "service.py:build")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: torchproof lock check ")


def test_weights_are_checked_without_torch(service):
    code = (
        "import sys, torchproof.contracts as c; c.check_weights; assert 'torch' not in sys.modules"
    )
    source = str(Path(torchproof.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": source}, check=True)
