"""The real DVC, in an environment of its own so that its hundred packages change no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


PYTHON = Path(sys.prefix) / "dvc/bin/python"
needs_dvc = pytest.mark.skipif(not PYTHON.exists(), reason=f"no {PYTHON}: make test installs it")


def run_dvc(root, *arguments):
    """Run a command of DVC's in a directory; return what it prints."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(root), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [PYTHON, "-m", "dvc", *arguments],
        cwd=root, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
