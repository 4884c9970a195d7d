"""Runs the action exactly as GitHub's runner runs a Docker action, in real docker.

After actions/runner (ContainerActionHandler.cs, DockerCommandManager.cs, ProcessInvoker.cs): the
same build and run commands, mounts and environment. One thing is not the runner's and is given by
the test: further options of docker, such as `HOST_NETWORK`.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import yaml
from tests.runner.environment import (
    FILE_COMMANDS,
    SOCKET,
    Folders,
    github_variables,
    input_variables,
)
from tests.runner.step import Step


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.runner.step import Result

OWNER = 1001
# What a test adds to the runner's commands: the container then reaches a server of the test, and an
# engine without a bridge network of its own will do.
HOST_NETWORK = ("--network", "host")


class FakeRunner:
    """One job of one repository on one runner.

    ``workspace`` is where ``actions/checkout`` would put the repository; `own` gives it to the
    runner's user. ``token`` is what ``${{ github.token }}`` stands for in the action's defaults.
    """

    def __init__(
        self,
        work: Path,
        image: str,
        action: Path,
        *,
        repository: str = "octo/digits",
        token: str = "ghs_token",
        run_extra: Sequence[str] = (),
    ) -> None:
        self.folders = Folders(work, repository)
        self.image, self.action, self.token = image, action, token
        self.run_extra = tuple(run_extra)
        # The runner takes the hash of its own settings file; any six digits do, one set a runner.
        self.label = secrets.token_hex(3)
        for host, _ in self.folders.mounts():
            host.mkdir(parents=True, exist_ok=True)
        self.own()

    @property
    def workspace(self) -> Path:
        return self.folders.workspace

    def own(self) -> None:
        """Give everything in the work folder to the runner's user, as far as this user may."""
        for path in [self.folders.work, *self.folders.work.rglob("*")]:
            _give(path)

    def run(
        self, event_name: str, event: Mapping[str, Any], *, timeout: float = 240.0, **given: Any
    ) -> Result:
        """Run the main step to its end; see `start`."""
        return self.start(event_name, event, **given).wait(timeout)

    def start(self, event_name: str, event: Mapping[str, Any], **given: Any) -> Step:
        """Start the main step.

        Args:
            event_name: ``GITHUB_EVENT_NAME``.
            event: The payload.
            given: ``inputs``, what stands under ``with:``; ``env``, the ``env`` context: the
                workflow's ``env:`` and what earlier steps wrote to GITHUB_ENV; ``github``, single
                ``GITHUB_*`` and ``RUNNER_*`` variables, such as ``GITHUB_API_URL``.
        """
        payload = self.folders.workflow / "event.json"
        payload.write_text(json.dumps(event), "utf-8")
        _give(payload)
        return self._start("entrypoint", event_name, **given)

    def post(self, event_name: str, state: Mapping[str, str], **given: Any) -> Result:
        """Run the post step, which the runner does also after a failed or cancelled main step."""
        return self._start("post-entrypoint", event_name, state=state, **given).wait()

    def leftovers(self) -> tuple[str, ...]:
        """Return the containers that carry the job's label or still use its workspace."""
        found: set[str] = set()
        for test in (f"label={self.label}", f"volume={self.workspace}"):
            command = ["docker", "ps", "-a", "--format", "{{.Names}}", "--filter", test]
            found.update(_output(command).split())
        return tuple(sorted(found))

    def root_owned(self) -> tuple[str, ...]:
        """Return what in the workspace the runner's user could not remove."""
        paths = (path for path in self.workspace.rglob("*") if path.lstat().st_uid == 0)
        return tuple(sorted(str(path.relative_to(self.workspace)) for path in paths))

    def clean(self) -> None:
        """Remove every container that is left, as nobody does on a real runner."""
        if names := self.leftovers():
            subprocess.run(["docker", "rm", "-f", *names], check=False, capture_output=True)

    def _start(
        self,
        stage: str,
        event_name: str,
        *,
        state: Mapping[str, str] | None = None,
        inputs: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        github: Mapping[str, str] | None = None,
    ) -> Step:
        files = self._fresh_files()
        variables = {
            **(env or {}),
            **{f"STATE_{name}": value for name, value in (state or {}).items()},
            **dict(input_variables(self.action, inputs or {}, self.token)),
            "HOME": str(self.folders.home),
            **github_variables(self.folders, event_name, github or {}),
            **{name: str(path) for name, path in files.items()},
        }
        values = {name: self.folders.translate(value) for name, value in variables.items()}
        log = self.folders.work / f"{stage}-{secrets.token_hex(3)}.log"
        with log.open("wb") as out:
            client = subprocess.Popen(
                self._command(stage, values),
                cwd=self.workspace,
                env=values,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return Step(self, client, files, log)

    def _command(self, stage: str, values: Mapping[str, str]) -> list[str]:
        name = f"{self.image.replace(':', '').replace('/', '')}_{secrets.token_hex(3)}"
        command = [shutil.which("docker") or "docker", "run", "--name", name, "--label", self.label]
        command += ["--workdir", "/github/workspace", "--rm"]
        for variable in values:
            command += ["-e", variable]
        command += ["-e", "GITHUB_ACTIONS=true"]
        command += [] if "CI" in values else ["-e", "CI=true"]
        command += ["--entrypoint", self._entrypoint(stage), *self.run_extra]
        for host, inside in [(SOCKET, SOCKET), *self.folders.mounts()]:
            command += ["-v", f"{host}:{inside}"]
        return [*command, self.image]

    def _entrypoint(self, stage: str) -> str:
        return str(yaml.safe_load(self.action.read_text("utf-8"))["runs"][stage])

    def _fresh_files(self) -> dict[str, Path]:
        suffix = secrets.token_hex(16)
        files = {
            name: self.folders.file_commands / f"{stem}_{suffix}"
            for name, stem in FILE_COMMANDS.items()
        }
        for path in files.values():
            path.touch()
            _give(path)
        return files


def build(context: Path, *, extra: Sequence[str] = ()) -> str:
    """Build an action's image with the runner's command; returns its tag.

    Args:
        context: The action's directory, which holds its Dockerfile.
        extra: Further options, such as ``--build-arg BASE=…`` where no registry is reached.
    """
    label = hashlib.sha256(str(context).encode()).hexdigest()[:6]
    tag = f"{label}:{secrets.token_hex(16)}"
    command = ["docker", "build", "-t", tag, "-f", f"{context}/Dockerfile", *extra, str(context)]
    built = subprocess.run(
        command,
        cwd=context,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        check=False,
        capture_output=True,
        text=True,
    )
    if built.returncode:
        raise AssertionError(
            f"docker build failed:\n{built.stdout[-4000:]}\n{built.stderr[-2000:]}"
        )
    return tag


def _give(path: Path) -> None:
    if os.getuid() == 0:
        os.chown(path, OWNER, OWNER, follow_symlinks=False)


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
