"""The user's repository on the fake GitHub, and its checkout on a runner."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchproof.history.store import History


if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fake_github.http_server import FakeGitHub

    from torchproof.record import Record

PROJECT = Path(__file__).parent / "project"
HISTORY = "torchproof-history"


@dataclass(frozen=True)
class Repository:
    """A repository that people push to from a work tree in ``work``."""

    name: str
    github: FakeGitHub
    work: Path
    image: str

    def __post_init__(self) -> None:
        shutil.copytree(PROJECT, self.work)
        config = self.work / "pyproject.toml"
        config.write_text(f'{config.read_text("utf-8")}image = "{self.image}"\n', "utf-8")
        self.git("init", "-q", "-b", "main")

    @property
    def bare(self) -> Path:
        return self.github.world.git_root / f"{self.name}.git"

    def commit(self, branch: str, files: Mapping[str, str] | None = None) -> str:
        """Push a commit with these files to a branch, a new one from main; returns the commit."""
        if self.git("branch", "--list", "main"):
            self.git("switch", "-q", *(() if self._has(branch) else ("-c",)), branch)
        for path, text in (files or {}).items():
            (self.work / path).parent.mkdir(parents=True, exist_ok=True)
            (self.work / path).write_text(text, "utf-8")
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", f"Change {', '.join(files or ())}")
        self.git("push", "-q", str(self.bare), f"{branch}:{branch}")
        sha = self.git("rev-parse", branch)
        self.git("switch", "-q", "main")
        return sha

    def read(self, path: str) -> str:
        """Return a file of main."""
        return self.git("show", f"main:{path}") + "\n"

    def merge(self, number: int, branch: str) -> str:
        """Make the merge commit that GitHub makes of a pull request and main."""
        message = f"Merge {branch} into main"
        tree = self.git("merge-tree", "--write-tree", "main", branch)
        sha = self.git("commit-tree", tree, "-p", "main", "-p", branch, "-m", message)
        self.git("push", "-q", "-f", str(self.bare), f"{sha}:refs/pull/{number}/merge")
        return sha

    def check_out(self, sha: str, workspace: Path, token: str) -> None:
        """Do what actions/checkout does: one commit, a remote, and the token in .git/config."""
        self.git("init", "-q", where=workspace)
        address = f"{self.github.url}/{self.name}"
        self.git("remote", "add", "origin", address, where=workspace)
        fetch = ("-c", "protocol.version=2", "fetch", "-q", "--no-tags", "--depth=1")
        self.git(*fetch, f"file://{self.bare}", sha, where=workspace)
        self.git("checkout", "-q", "--detach", sha, where=workspace)
        header = f"AUTHORIZATION: basic {token}"
        self.git("config", f"http.{self.github.url}/.extraheader", header, where=workspace)

    def records(self) -> list[Record]:
        """Read the history as torchproof does, oldest first."""
        with History(str(self.bare)) as history:
            return history.records()

    def git(self, *words: str, where: Path | None = None) -> str:
        person = {"NAME": "Ada", "EMAIL": "ada@example.org"}
        names = {f"GIT_{who}_{k}": v for who in ("AUTHOR", "COMMITTER") for k, v in person.items()}
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", *words],
            cwd=where or self.work,
            env={**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"git {' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    def _has(self, branch: str) -> bool:
        return bool(self.git("branch", "--list", branch))
