from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
from tests.stages.scene import Scene

from torchproof.cli import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out, parse_constant=_no_constant)

    @property
    def sentence(self):
        """The one line that an error is."""
        (line,) = self.err.splitlines()
        assert line.startswith("torchproof: ")
        return line


def _no_constant(name):
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture
def torchproof(capfd, monkeypatch):
    """Give a function that runs a command in this process."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*arguments):
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Result(code, *capfd.readouterr())

    return run


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Give an empty git repository, which is the current directory."""
    directory = tmp_path / "project"
    subprocess.run(["git", "init", "-q", "-b", "main", str(directory)], check=True)
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Give a checkout, the current directory, whose remote has a history of two pushes."""
    scene = Scene(tmp_path)
    scene.push()
    scene.push()
    monkeypatch.chdir(scene.work)
    return scene
