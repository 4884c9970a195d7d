"""What lies in the workspace: the commit under test, the project, the user's template."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from torchproof.errors import ConfigError, HostError, TemplateError


if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 30
MAX_TEMPLATE_BYTES = 65_536


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


def project_directory(workspace: Path, name: str) -> Path:
    """Return the directory of the project to test.

    Raises:
        ConfigError: There is no such directory in the workspace.
    """
    path = workspace / name
    if not path.is_dir() or not path.resolve().is_relative_to(workspace.resolve()):
        what = "there is no such directory in the repository"
        raise ConfigError(what, "Correct the input working-directory.", where=name)
    return path


def read_template(workspace: Path, name: str) -> str:
    """Return the source of the user's report template.

    Raises:
        TemplateError: It is not a text file in the repository.
    """
    path = (workspace / name).resolve()
    remedy = "Set template in [tool.torchproof] to a file of the repository."
    if not path.is_relative_to(workspace.resolve()) or not path.is_file():
        raise TemplateError("there is no such template in the repository", remedy, where=name)
    with open(path, "rb") as file:
        data = file.read(MAX_TEMPLATE_BYTES + 1)
    if len(data) > MAX_TEMPLATE_BYTES:
        what = f"the template has more than {MAX_TEMPLATE_BYTES} bytes"
        raise TemplateError(what, "Shorten it.", where=name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TemplateError("the template is not UTF-8", "Save it as UTF-8.", where=name) from error
