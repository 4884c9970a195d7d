"""What lies in the workspace: the commit under test."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from torchproof.errors import HostError


if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 30


def head_commit(workspace: Path) -> str:
    """Return the commit that is checked out, 40 or 64 hexadecimal digits.

    A pull request's event names its merge commit, but what counts is what the workflow checked
    out.

    Raises:
        HostError: There is no git checkout.
    """
    # Another user owns the workspace; without this git calls that dubious and stops.
    trust = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    done = subprocess.run(
        ["git", "-C", str(workspace), "rev-parse", "--verify", "HEAD^{commit}"],
        env={"PATH": os.defpath, "LC_ALL": "C", **trust},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        remedy = "Add a step with actions/checkout before torchproof."
        raise HostError("the workspace holds no git checkout", remedy, where=str(workspace))
    return done.stdout.strip()
