"""A job on a self-hosted runner: its files on the host, and steps run as the runner runs them."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.images import base_image


if TYPE_CHECKING:
    from torchproof.run.engine import Engine

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
RUNNER = 1001
CANARY = f"CANARY-{8154711}"
"""The token; spelt in two parts, as the attacks look for it in every file."""


@dataclass
class Job:
    """One job; see the module."""

    work: Path
    engine: Engine
    id: str
    owner: int = RUNNER

    def __post_init__(self):
        self.temp, self.workspace = self.work / "_temp", self.work / "toy/toy"
        make_checkout(self.temp, self.workspace)
        shutil.copy(HERE / "attacks.py", self.workspace)
        for name in ("_github_home", "_github_workflow", "_runner_file_commands"):
            (self.temp / name).mkdir()
        (self.temp / "_runner_file_commands/env").touch()
        self.give(self.owner)

    def give(self, owner):
        self.owner = owner
        subprocess.run(["chown", "-R", f"{owner}:{owner}", self.work], check=True)

    def container(self, *argv, mounts=("runner_temp",), options=()):
        """Start a program in a container as the runner starts a Docker action."""
        folders = {
            "runner_temp": self.temp,
            "home": self.temp / "_github_home",
            "workflow": self.temp / "_github_workflow",
            "file_commands": self.temp / "_runner_file_commands",
            "workspace": self.workspace,
        }
        mounted = {*folders} - {"runner_temp"} | {*mounts}
        binds = [f"-v={path}:/github/{name}" for name, path in folders.items() if name in mounted]
        return subprocess.Popen(
            [
                *("docker", "run", "--rm", f"--name={self.name}", "--label=a1b2c3"),
                *(
                    "--network=none",
                    "--workdir=/github/workspace",
                    f"-e=INPUT_GITHUB-TOKEN={CANARY}",
                ),
                *("-e=GITHUB_ENV=/github/file_commands/env", "-e=PYTHONDONTWRITEBYTECODE=1"),
                *("-v=/var/run/docker.sock:/var/run/docker.sock", *binds, *options),
                *(f"-v={SOURCE}:/opt/src:ro", f"-v={HERE}:/opt/tests:ro", "-e=PYTHONPATH=/opt/src"),
                *(base_image(), *argv),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self, seal, *commands, **how):
        """Start a step: the supervisor in a container, with its orders."""
        orders = {"seal": seal, "commands": commands, "run_id": self.id, "volume": self.volume}
        return self.container("python3", "/opt/tests/supervisor.py", json.dumps(orders), **how)

    def step(self, seal, *commands, **how):
        """Run a step to its end and return what the supervisor printed."""
        with self.start(seal, *commands, **how) as client:
            out, err = client.communicate(timeout=120)
        assert client.returncode == 0, err
        return json.loads(out.splitlines()[-1])

    @property
    def name(self):
        return f"step-{self.id}"

    @property
    def volume(self):
        return f"torchproof-test-{self.id}"

    def siblings(self):
        return self.engine.list({"torchproof.run": self.id})

    def not_owned(self):
        """List what belongs to somebody else than the runner."""
        paths = [self.work, *self.work.rglob("*")]
        return [path for path in paths if path.lstat().st_uid != self.owner]

    def clean(self):
        for container in self.siblings():
            self.engine.remove(container["Id"], force=True)
        subprocess.run(["docker", "rm", "-f", self.name], capture_output=True, check=False)
        subprocess.run(["docker", "volume", "rm", self.volume], capture_output=True, check=False)


def make_checkout(temp: Path, workspace: Path) -> Path:
    """Make a small repository, and persist a token in its configuration and in an included file."""
    temp.mkdir(parents=True)
    git(Path("/"), "init", "-q", "-b", "main", str(workspace))
    (workspace / "model.py").write_text("answer = 42\n")
    git(workspace, "add", ".")
    git(workspace, "commit", "-q", "-m", "first")
    git(workspace, "tag", "-a", "v1.0", "-m", "one")
    persist_token(workspace, temp / "git-credentials-1.config")
    return workspace


def persist_token(workspace: Path, credentials: Path) -> None:
    header = "http.https://github.com/.extraheader"
    git(workspace, "config", header, f"AUTHORIZATION: basic {CANARY}")
    git(workspace, "config", "--file", str(credentials), header, CANARY)
    git(workspace, "config", "include.path", str(credentials))


def git(where: Path, *words: str) -> str:
    """Run git as a person with a name, who trusts every directory."""
    settings = ["user.name=A", "user.email=a@b.c", "protocol.file.allow=always", "safe.directory=*"]
    options = [part for setting in settings for part in ("-c", setting)]
    done = subprocess.run(
        ["git", *options, "-C", where, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
