"""How long a user environment takes that is already there."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from benchmarks.overhead.figure import Figure

from torchproof.errors import HostError
from torchproof.run import environment
from torchproof.run.child import OpenSeal
from torchproof.run.project import read_project
from torchproof.settings import Settings


MOST_SECONDS = 2.0

_REQUIREMENTS = "pytest>=7\nhypothesis\n"
# What uv needs to reach its index on this machine.
_NETWORK = ("SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "UV_DEFAULT_INDEX")
_WHAT = "user environment of a small project, {} (wall time)"


def warm(rounds: int) -> list[Figure]:
    """Make a small project's environment, then make it again and again."""
    what = _WHAT.format("there already")
    try:
        first, *others = _make(rounds)
    except HostError as error:
        return [Figure(what=what, unit="s", most=MOST_SECONDS, note=str(error))]
    return [
        Figure(what=_WHAT.format("for the first time"), unit="s", values=(first,)),
        Figure(what=what, unit="s", values=tuple(others), most=MOST_SECONDS),
    ]


def _make(rounds: int) -> list[float]:
    """Return the seconds of the first time and of those after it."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        project.mkdir()
        (project / "requirements.txt").write_text(_REQUIREMENTS, "utf-8")
        tools = str(Path(shutil.which("uv") or sys.executable).parent)
        path = f"{Path(sys.executable).parent}:{tools}:{os.defpath}"
        environ = {"HOME": folder, "XDG_CACHE_HOME": folder, "PATH": path}
        seal = OpenSeal(workspace=project, run_id=f"benchmark-{os.getpid()}", environ=environ)
        settings = Settings(env={name: os.environ[name] for name in _NETWORK if name in os.environ})
        plan = environment.plan_environment(
            read_project(project), settings, directory=seal.workspace, cache=seal.cache
        )
        times = [time.monotonic()]
        for _ in range(rounds + 1):
            environment.make(seal, plan, on_output=lambda _: None)
            times.append(time.monotonic())
        seal.close()
    return [after - before for before, after in pairwise(times)]
