"""Which seal a run gets: a pure decision from what the host offers, and the shell that opens it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchproof.errors import ConfigError, HostError, TrustError
from torchproof.run.child import GITHUB, ChildSeal, OpenSeal
from torchproof.run.container import ContainerSeal


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torchproof.run.engine import Engine
    from torchproof.run.seal import Seal

AUTO = "auto"
CONTAINER, CHILD, OPEN = ContainerSeal.name, ChildSeal.name, OpenSeal.name

_RUNNER_DIRECTORIES = ("RUNNER_TEMP", "GITHUB_WORKSPACE")
_RUNNER_FILES = ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_EVENT_PATH")
_SECRET_NAME = re.compile(
    r"(GITHUB|ACTIONS|RUNNER|INPUT|STATE)_|.*(TOKEN|SECRET|PASSWORD)", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Host:
    """What this machine offers.

    ``engine`` says that a docker engine answers, ``no_engine`` why it does not; ``image`` is the
    image of our own container, if we are in one.
    """

    engine: bool
    root: bool
    image: str | None = None
    no_engine: str = ""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A seal's name, and one sentence that says why it is this one."""

    name: str
    why: str


def choose(
    host: Host, *, wanted: str = AUTO, secrets_present: bool, image: str | None = None
) -> Choice:
    """Choose a seal.

    Args:
        host: What the machine offers.
        wanted: A seal's name, or ``auto``.
        secrets_present: Whether a token or a runner's file is in reach of this process.
        image: The image that the user wants the tests to run in.

    Raises:
        ConfigError: There is no such seal.
        HostError: The machine cannot do what was asked.
        TrustError: Secrets are present and nothing here can keep them from the tests.
    """
    if wanted not in (AUTO, CONTAINER, CHILD, OPEN):
        names = f"{AUTO}, {CONTAINER}, {CHILD} or {OPEN}"
        raise ConfigError(f"{wanted!r} is not a seal", f"Use {names}.", where="seal")
    if image and wanted not in (AUTO, CONTAINER):
        raise ConfigError("an image needs a container", "Drop `image` or `seal`.", where="image")
    if wanted == CONTAINER or image:
        return _container(host, image)
    if wanted == CHILD:
        return _child(host)
    if wanted == OPEN:
        return _open(secrets_present=secrets_present)
    return _automatic(host, secrets_present=secrets_present)


def look(engine: Engine) -> Host:
    """See what this machine offers."""
    root = os.geteuid() == 0
    try:
        engine.info()
    except HostError as error:
        return Host(engine=False, root=root, no_engine=str(error))
    me = engine.me()
    return Host(engine=True, root=root, image=me.image if me else None)


def open_seal(
    choice: Choice,
    engine: Engine,
    *,
    workspace: Path,
    run_id: str,
    lay_plugin: Callable[[Path], None],
    image: str | None = None,
    pass_env: Iterable[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Seal:
    """Open the chosen seal.

    Args:
        choice: What `choose` said.
        engine: The docker engine; unused unless the choice is the container.
        workspace: The checkout.
        run_id: Names what the seal lays out; never used before.
        lay_plugin: Fills the plugin directory.
        image: The image that the user wants the tests to run in.
        pass_env: Names of variables of ours that the tests may see: a proxy, certificates.
        environ: Our environment.
    """
    env = passed_env(pass_env, environ)
    if choice.name == CONTAINER:
        return ContainerSeal(
            engine,
            workspace=workspace,
            run_id=run_id,
            lay_plugin=lay_plugin,
            image=image,
            env=env,
            environ=environ,
        )
    if choice.name == CHILD:
        return ChildSeal(
            workspace=workspace,
            run_id=run_id,
            lay_plugin=lay_plugin,
            env={"PATH": environ.get("PATH", os.defpath), **env},
            closed=runner_directories(environ),
        )
    return OpenSeal(
        workspace=workspace, run_id=run_id, lay_plugin=lay_plugin, env=env, environ=environ
    )


def passed_env(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Pick the variables that the settings name; a pull request may have written these settings.

    Raises:
        TrustError: A name is the runner's own, or says that it holds a secret.
    """
    names = list(names)
    for name in names:
        if _SECRET_NAME.match(name):
            raise TrustError(
                "a variable of the runner, or one that holds a secret, is not given to tests",
                "Remove it from the list.",
                where=f"pass-env: {name}",
            )
    return {name: environ[name] for name in names if name in environ}


def runner_directories(environ: Mapping[str, str]) -> Sequence[Path]:
    """Name the directories that hold the runner's files, outermost first."""
    named = [Path(environ[name]) for name in _RUNNER_DIRECTORIES if environ.get(name)]
    named += [Path(environ[name]).parent for name in _RUNNER_FILES if environ.get(name)]
    outside = {path for path in named if not path.is_relative_to(GITHUB)}
    return [GITHUB, *sorted(outside)]


def _automatic(host: Host, *, secrets_present: bool) -> Choice:
    if host.engine and host.image:
        return _container(host, None)
    if not secrets_present:
        return _open(secrets_present=False)
    if host.root:
        return _child(host)
    raise TrustError(
        "the tests could read this job's token: there is neither a docker engine nor root "
        "to run them as another user",
        "Use a runner with docker, run as root, or name an `image` where docker is at hand.",
    )


def _container(host: Host, image: str | None) -> Choice:
    if not host.engine:
        raise HostError(
            f"the tests' container needs a docker engine ({host.no_engine.rstrip('.')})",
            "Use a runner with docker, or set `seal` to `child`.",
        )
    if image:
        return Choice(name=CONTAINER, why=f"the settings name the image {image}")
    if not host.image:
        raise HostError(
            "the tests' container needs an image, and this process is in none of its own",
            "Name one with `image` in the settings.",
        )
    return Choice(name=CONTAINER, why="a docker engine answers, so the tests get a container")


def _child(host: Host) -> Choice:
    if not host.root:
        raise HostError(
            "running the tests as another user needs root",
            "Run torchproof as root, or on a host with docker.",
        )
    return Choice(name=CHILD, why="no container can be had, so the tests run as another user")


def _open(*, secrets_present: bool) -> Choice:
    if secrets_present:
        raise TrustError(
            "tests do not run unsealed where a token is in reach", "Set `seal` to `auto`."
        )
    return Choice(name=OPEN, why="no secret is in reach, so the tests run as this user, in place")
