"""The user environment: which one the repository asks for, and how uv makes it inside the seal.

The first of these that applies decides:

1. ``python = "system"`` or a path: that interpreter as it is, nothing is installed. The same holds
   for the user's own ``image`` where ``python`` is not set.
2. ``install`` with a source in it (``-r file``, ``-e path``, ``./path``): that list and no more.
3. ``uv.lock``: ``uv sync --frozen`` with the extras and groups that tests need.
4. ``pyproject.toml``, ``setup.py``: ``-e .`` with these extras and groups, and the requirements
   files where there are none.
5. Requirements files.

Plain requirements in ``install`` come on top of 3 to 5, and pytest where nothing brought it. torch
is never constrained: ``UV_TORCH_BACKEND=auto`` picks the build that suits the machine's driver.

An environment is named by a digest of all that decides its content. It is built beside its name and
renamed when it is whole, so that nobody sees a half-made one and two jobs may build the same.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torchproof.errors import ConfigError, HostError
from torchproof.run.diagnose import Diagnosis, Tail, diagnose, plain
from torchproof.run.seal import Command


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import PurePosixPath

    from torchproof.run.project import Project
    from torchproof.run.seal import Completed, Seal
    from torchproof.settings import Settings

FORMAT = 1
TIMEOUT = 3600.0
UNUSED_DAYS = 14

_INSTALL = ("uv", "pip", "install")
_SOURCE = ("-r", "-e", "--requirement", "--editable", ".", "/")

# VIRTUAL_ENV names the environment to uv pip, UV_PROJECT_ENVIRONMENT to uv sync. A relocatable one
# may be renamed. Directories of jobs that were killed go when they have been unused for long.
_SCRIPT = """\
environment={environment}
export VIRTUAL_ENV="$environment" UV_PROJECT_ENVIRONMENT="$environment"
if "$environment/bin/python" -Ic 'import pytest' 2>/dev/null; then
  touch "$environment" || :
  {refresh}
  exit 0
fi
folder=$(dirname "$environment")
mkdir -p "$folder"
find "$folder" -mindepth 1 -maxdepth 1 -mtime +{days} -exec rm -rf {{}} +
rm -rf "$environment"
new=$(mktemp -d "$folder/new-XXXXXX")
trap 'rm -rf "$new"' EXIT
export VIRTUAL_ENV="$new" UV_PROJECT_ENVIRONMENT="$new"
{venv} "$new"
{steps}
"$new/bin/python" -Ic 'import pytest' 2>/dev/null || uv pip install 'pytest>=7'
chmod 755 "$new"
mv -T "$new" "$environment" 2>/dev/null || test -x "$environment/bin/python"
"""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """How to come by an interpreter that has what the tests need.

    Attributes:
        origin: What decided, for the log.
        python: The interpreter, as the seal sees it.
        script: The shell program that makes it ready; empty where it is taken as it is.
        env: The environment of that program.
        directory: The project, as the seal sees it.
    """

    origin: str
    python: str
    script: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    directory: PurePosixPath | None = None


def plan_environment(
    project: Project, settings: Settings, *, directory: PurePosixPath, cache: PurePosixPath
) -> Environment:
    """Decide on the user environment.

    Args:
        project: What the repository's files say.
        settings: ``install``, ``python``, ``image`` and ``env`` count.
        directory: The project, as the seal sees it.
        cache: The directory that holds environments and uv's cache; one file system, so that uv
            can link instead of copying.

    Raises:
        ConfigError: ``install`` cannot be used.
    """
    if settings.python == "system" or "/" in settings.python:
        return _as_it_is(settings, directory)
    if settings.image and not settings.python:
        return _as_it_is(settings, directory)
    origin, steps = _steps(project, settings)
    env = _uv_environment(settings, cache)
    digest = _digest(project, settings, steps, env, directory)
    path = cache / "environments" / digest
    version = ("--python", settings.python) if settings.python else ()
    script = _SCRIPT.format(
        environment=shlex.quote(str(path)),
        days=UNUSED_DAYS,
        venv=shlex.join(("uv", "venv", "--quiet", "--relocatable", *version)),
        steps="\n".join(map(shlex.join, steps)),
        refresh=shlex.join(_rebuild(project, steps)),
    )
    python = str(path / "bin" / "python")
    return Environment(origin=origin, python=python, script=script, env=env, directory=directory)


def make(
    seal: Seal,
    environment: Environment,
    *,
    on_output: Callable[[bytes], None],
    timeout: float = TIMEOUT,
) -> str:
    """Make the environment ready in the seal and return its interpreter.

    Raises:
        HostError: uv failed; the sentence says which setting to change.
    """
    if not environment.script:
        return environment.python
    tail = Tail(on_output)
    command = Command(
        argv=("sh", "-euc", environment.script),
        env=environment.env,
        timeout=timeout,
        cwd=environment.directory,
    )
    done = seal.run(command, on_output=tail)
    if done.exit_code or done.timed_out:
        diagnosis = _why(done, tail.text)
        raise HostError(diagnosis.what, diagnosis.remedy, where="user environment")
    return environment.python


def _as_it_is(settings: Settings, directory: PurePosixPath) -> Environment:
    if settings.install:
        what = "install has no effect, because the tests run in an interpreter as it is"
        remedy = 'Remove install, or set python to a version such as "3.12".'
        raise ConfigError(what, remedy, where="[tool.torchproof]")
    if "/" not in settings.python:
        return Environment(origin="the interpreter of the image", python="python3")
    python = str(directory / settings.python)
    return Environment(origin="the interpreter that is set", python=python)


def _steps(project: Project, settings: Settings) -> tuple[str, list[tuple[str, ...]]]:
    """Return what decides, in words, and uv's command lines."""
    arguments, whole = _named(settings)
    if whole:
        return "install", [(*_INSTALL, *arguments)]
    if project.locked:
        steps = [_sync(project)] + ([(*_INSTALL, *arguments)] if arguments else [])
        return "uv.lock", steps
    origin, found = _found(project)
    return origin, [(*_INSTALL, *(found + arguments or ["pytest>=7"]))]


def _named(settings: Settings) -> tuple[list[str], bool]:
    """Return uv's arguments for ``install`` and whether they are the whole environment."""
    arguments: list[str] = []
    try:
        for entry in map(str.strip, settings.install):
            arguments += shlex.split(entry) if entry.startswith("-") else [entry]
    except ValueError as error:
        what = f"install cannot be read: {error}"
        raise ConfigError(what, "Close the quotes.", where="[tool.torchproof]") from error
    return arguments, any(argument.startswith(_SOURCE) for argument in arguments)


def _sync(project: Project) -> tuple[str, ...]:
    extras = [word for name in project.extras for word in ("--extra", name)]
    groups = [word for name in project.groups for word in ("--group", name)]
    members = ["--all-packages"] if project.virtual else []
    return ("uv", "sync", "--frozen", *extras, *groups, *members)


def _found(project: Project) -> tuple[str, list[str]]:
    """Return what the repository's files are, in words, and uv's arguments for them."""
    arguments, names = [], []
    if project.installable:
        arguments += ["-e", f".[{','.join(project.extras)}]" if project.extras else "."]
        names.append(arguments[-1])
    for group in project.groups:
        arguments += ["--group", group]
        names.append(f"group {group}")
    if not project.extras and not project.groups:
        for file in project.requirements:
            arguments += ["-r", file]
            names.append(file)
    return ", ".join(names) or "no requirements were found", arguments


def _rebuild(project: Project, steps: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Build the project's native code again: the checkout has removed what lay in the work tree."""
    if not project.native:
        return ("true",)
    if "sync" in steps[0]:
        return (*steps[0], "--inexact", "--reinstall-package", project.name)
    editable = any("-e" in step for step in steps)
    return (*_INSTALL, "--no-deps", "--reinstall", "-e", ".") if editable else ("true",)


def _uv_environment(settings: Settings, cache: PurePosixPath) -> dict[str, str]:
    """Return uv's environment; a user's empty text takes a variable away."""
    ours = {
        "UV_CACHE_DIR": str(cache / "uv"),
        "UV_PYTHON_INSTALL_DIR": str(cache / "python"),
        "UV_LINK_MODE": "hardlink",
        "UV_NO_PROGRESS": "1",
        "UV_TORCH_BACKEND": "auto",
    }
    return {name: value for name, value in {**ours, **settings.env}.items() if value}


def _digest(
    project: Project,
    settings: Settings,
    steps: list[tuple[str, ...]],
    env: Mapping[str, str],
    directory: PurePosixPath,
) -> str:
    """Name an environment; an editable install depends on where the project lies."""
    files = {name: hashlib.sha256(data).hexdigest() for name, data in project.files.items()}
    facts = [FORMAT, settings.python, steps, dict(env), files, str(directory)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]


def _why(done: Completed, output: str) -> Diagnosis:
    if done.timed_out:
        what = f"it was not ready after {done.seconds:.0f} s"
        return Diagnosis(what, "Name fewer packages in install, or use an image that holds them.")
    known = diagnose(output)
    if known:
        return known
    lines = [line.strip() for line in plain(output).splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    what = f"it could not be made (exit code {done.exit_code}): {last[:200]}"
    remedy = "Read the lines above; [tool.torchproof] install says what goes into it."
    return Diagnosis(what, remedy)
