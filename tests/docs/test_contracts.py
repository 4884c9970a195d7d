"""docs/contracts.md: its two services, run as they stand there."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, blocks, code, table

import torchproof
from torchproof.contracts import VERDICTS


PAGE = ROOT / "docs/contracts.md"
PRODUCER, CONSUMER, AT_LOAD, IN_PYTHON = (text for _, text in blocks("python", [PAGE]))
((_, SHELL),) = blocks("shell", [PAGE])
((_, FAILURE),) = blocks("text", [PAGE])
MODEL = """
import torch
from torch import nn

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.act, self.second = nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 4)

    def forward(self, x):
        return self.second(self.act(self.first(x)))

def build():
    return Encoder(), torch.zeros(2, 16)
"""


def run(where, *argv):
    source = str(Path(torchproof.__file__).parents[1])
    return subprocess.run(
        [sys.executable, *argv],
        cwd=where,
        env={**os.environ, "PYTHONPATH": f"{where}{os.pathsep}{source}"},
        capture_output=True,
        text=True,
        check=False,
    )


def pytest_in(where, *options):
    return run(where, "-m", "pytest", "-q", "-p", "no:randomly", "--rootdir=.", *options)


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """Make the producer, whose lock is committed, and the consumer with the edit."""
    root = tmp_path_factory.mktemp("services")
    for name, model, test in (
        ("producer", "encoder", PRODUCER),
        ("consumer", "service", CONSUMER),
    ):
        (root / name).mkdir()
        (root / name / f"{model}.py").write_text(MODEL)
        (root / name / "test_contract.py").write_text(test)
    assert pytest_in(root / "producer", "--torchproof-update").returncode == 0
    return root


def edit(path):
    path.write_text(path.read_text().replace("nn.ReLU", "nn.LeakyReLU"))


def test_both_services_agree_until_one_is_edited(services):
    assert pytest_in(services / "consumer").returncode == 0
    edit(services / "consumer" / "service.py")
    done = pytest_in(services / "consumer")
    assert done.returncode == 1
    assert "torchproof: encoder: function changed: relu → leaky_relu in act" in done.stdout
    first, second, *_ = FAILURE.splitlines()
    assert first in done.stdout
    assert second.strip() in done.stdout


def test_the_commands_and_the_check_at_load_time(tmp_path):
    for name in ("encoder", "service"):
        (tmp_path / f"{name}.py").write_text(MODEL)
    for line in SHELL.splitlines():
        program, *argv = shlex.split(line)
        done = run(tmp_path, "-m", f"{program}.cli", *argv)
        assert done.returncode == 0, done.stderr
    pytest.importorskip("safetensors")
    done = run(tmp_path, "-c", AT_LOAD)
    assert done.returncode == 0, done.stderr


def test_what_is_said_of_python_holds():
    exec(compile(IN_PYTHON, str(PAGE), "exec"), {})


def test_the_verdicts_of_the_page_are_the_verdicts():
    rows = table("docs/contracts.md", "| verdict |")
    assert [code(row[0]) for row in rows] == list(VERDICTS)
