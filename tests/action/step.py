"""The action as a process on a runner without docker, beside a GitHub that it can reach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.runner.environment import Folders, github_variables
from tests.runner.files import read_pairs


if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "octo/model"
TOKEN = "ghs_workflow"
FILES = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")

# What the runner's own machine has beside its variables; no docker engine answers there.
MACHINE = {
    "PATH": os.environ["PATH"],
    "DOCKER_HOST": "unix:///nonexistent/docker.sock",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Done:
    """How a step ended: exit code, log, and what the runner finds in its files."""

    code: int
    log: str
    errors: str
    outputs: Mapping[str, str]
    summary: str

    @property
    def error_lines(self):
        return [line for line in self.log.splitlines() if line.startswith("::error")]


class Runner:
    """A runner's folders with a checkout, and the steps that run there."""

    def __init__(self, directory, github):
        self.github = github
        self.folders = Folders(directory / "_work", NAME)
        for folder in (self.folders.workspace, self.folders.file_commands, self.folders.workflow):
            folder.mkdir(parents=True, exist_ok=True)
        self.runs = 0

    @property
    def workspace(self):
        return self.folders.workspace

    def write(self, files):
        for path, text in files.items():
            (self.workspace / path).parent.mkdir(parents=True, exist_ok=True)
            (self.workspace / path).write_text(text, "utf-8")

    def git(self, *arguments):
        who = {"NAME": "Ada", "EMAIL": "ada@example.org"}
        env = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.workspace,
            env={**os.environ, **env},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, files, branch="main"):
        """Check a commit with these files out and push it, as people and checkout do."""
        if not (self.workspace / ".git").exists():
            self.git("init", "-q", "-b", "main")
        self.git("checkout", "-q", "-B", branch)
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", "Change")
        if self.github:
            bare = self.github.world.git_root / f"{NAME}.git"
            self.git("push", "-q", str(bare), f"{branch}:{branch}")
        return self.git("rev-parse", "HEAD")

    def step(self, event, payload, *arguments, inputs=None, token=TOKEN, variables=None):
        """Run the action's step to its end."""
        step = self.start(
            event, payload, *arguments, inputs=inputs, token=token, variables=variables
        )
        return self.finish(step)

    def start(self, event, payload, *arguments, inputs=None, token=TOKEN, variables=None):
        self.runs += 1
        (self.folders.workflow / "event.json").write_text(json.dumps(payload), "utf-8")
        files = {name: self._file(name) for name in FILES}
        for file in files.values():
            file.touch()
        address = {"GITHUB_API_URL": self.github.api_url, "GITHUB_SERVER_URL": self.github.url}
        self.run_id = str(uuid.uuid4().int)[:15]
        run = {"GITHUB_RUN_ID": self.run_id, "GITHUB_RUN_NUMBER": str(self.runs)}
        github = github_variables(self.folders, event, {**address, **run, **(variables or {})})
        given = {"github-token": token, "seal": "child", **(inputs or {})}
        return subprocess.Popen(
            [sys.executable, "-m", "torchproof.action", *arguments],
            cwd=self.workspace,
            env={
                **MACHINE,
                **github,
                **{name: str(file) for name, file in files.items()},
                **{f"INPUT_{name.upper()}": value for name, value in given.items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, step):
        log, errors = step.communicate(timeout=120)
        return Done(
            code=step.returncode,
            log=log,
            errors=errors,
            outputs=read_pairs(self._file("GITHUB_OUTPUT").read_text("utf-8")),
            summary=self._file("GITHUB_STEP_SUMMARY").read_text("utf-8"),
        )

    def _file(self, name):
        return self.folders.file_commands / f"{name}-{self.runs}"
