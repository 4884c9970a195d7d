"""What is on the fake GitHub: repositories, tokens, pull requests, comments, checks, runs.

Plain JSON data, so that a test of another process can read it in ``state.json``. Git repositories
stand beside it as bare ones, for `git_http`.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any


ACTIONS_BOT = "github-actions[bot]"
ALL_WRITE = {
    "actions": "write",
    "checks": "write",
    "contents": "write",
    "issues": "write",
    "pull-requests": "write",
}
KINDS = (
    "authors",
    "comments",
    "issues",
    "checks",
    "workflows",
    "runs",
    "pulls",
    "requests",
    "violations",
)


class World:
    """The state of one GitHub; every ``add_…`` method is something a person could have done."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        self.data: dict[str, Any] = {"repositories": {}, "tokens": {}, "last_id": 1000}
        self.data |= {kind: [] for kind in KINDS}
        if directory and (directory / "state.json").exists():
            self.data |= json.loads((directory / "state.json").read_text("utf-8"))

    def add_repository(
        self, name: str, *, private: bool = False, default_branch: str = "main"
    ) -> str:
        """Create a repository; with a directory to keep things in, a bare git one too."""
        item = {"id": self.next_id(), "full_name": name, "private": private}
        self.data["repositories"][name] = {**item, "default_branch": default_branch}
        if self.directory:
            _init_bare(self.git_root / f"{name}.git", default_branch)
        return name

    def add_token(
        self,
        token: str,
        *,
        login: str = ACTIONS_BOT,
        permissions: dict[str, str] | None = None,
    ) -> str:
        """Let a token in; one whose login ends in ``[bot]`` belongs to an app."""
        rights = ALL_WRITE if permissions is None else permissions
        self.data["tokens"][token] = {"login": login, "permissions": rights}
        return token

    def add_pull(
        self,
        repository: str,
        number: int,
        *,
        head_sha: str = "a" * 40,
        base_sha: str = "b" * 40,
        head_ref: str = "topic",
        base_ref: str = "main",
        head_repository: str = "",
        author: str = "octocat",
    ) -> int:
        """Open a pull request; from a fork when ``head_repository`` is another one."""
        item = {"repository": repository, "number": number, "head_sha": head_sha}
        item |= {"base_sha": base_sha, "head_ref": head_ref, "base_ref": base_ref}
        item |= {"head_repository": head_repository or repository, "author": author}
        self.data["pulls"].append({**item, "state": "open", "title": f"Pull request {number}"})
        return number

    def add_comment(
        self, repository: str, issue: int, body: str, *, user: str = "octocat"
    ) -> dict[str, Any]:
        """Write a comment on an issue or a pull request."""
        now = self.now()
        item = {"id": self.next_id(), "repository": repository, "issue": issue, "user": user}
        item |= {"body": body, "created_at": now, "updated_at": now}
        self.data["comments"].append(item)
        return item

    def add_issue(
        self, repository: str, title: str, body: str = "", *, user: str = "octocat"
    ) -> dict[str, Any]:
        """Open an issue; issues and pull requests are numbered together."""
        now = self.now()
        taken = (*self.data["pulls"], *self.data["issues"])
        numbers = [item["number"] for item in taken if item["repository"] == repository]
        item = {"id": self.next_id(), "repository": repository, "title": title, "body": body}
        item |= {"number": max(numbers, default=0) + 1, "author": user, "state": "open"}
        item |= {"state_reason": None, "created_at": now, "updated_at": now, "closed_at": None}
        self.data["issues"].append(item)
        return item

    def add_author(self, repository: str, sha: str, login: str) -> None:
        """Let a commit's author have an account."""
        self.data["authors"].append({"repository": repository, "sha": sha, "login": login})

    def add_workflow(
        self,
        repository: str,
        path: str,
        *,
        inputs: tuple[str, ...] = (),
        run_name: str = "",
    ) -> dict[str, Any]:
        """Put a workflow with a workflow_dispatch trigger on the default branch.

        Args:
            repository: ``owner/name``.
            path: Of the file.
            inputs: Names that it declares.
            run_name: May hold ``${{ inputs.NAME }}`` and ``${{ fromJSON(inputs.NAME).KEY }}``.
        """
        item = {"id": self.next_id(), "repository": repository, "path": path}
        item |= {"inputs": list(inputs), "run_name": run_name}
        self.data["workflows"].append(item)
        return item

    def branches(self, repository: str) -> list[str]:
        """List a repository's branches: git's, or the ones that pull requests speak of."""
        folder = self.git_root / f"{repository}.git"
        if self.directory and folder.exists():
            argv = ["git", "-C", str(folder), "for-each-ref", "--format=%(refname:lstrip=2)"]
            heads = [*argv, "refs/heads", "refs/tags"]
            return subprocess.run(heads, check=True, capture_output=True, text=True).stdout.split()
        pulls = [pull for pull in self.data["pulls"] if pull["repository"] == repository]
        return [
            self.data["repositories"][repository]["default_branch"],
            *(pull["head_ref"] for pull in pulls),
        ]

    def commit_of(self, repository: str, branch: str) -> str:
        """Return a branch's tip."""
        folder = self.git_root / f"{repository}.git"
        if not self.directory or not folder.exists():
            return "c" * 40
        argv = ["git", "-C", str(folder), "rev-parse", branch]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    @property
    def git_root(self) -> Path:
        """Return where the bare repositories stand."""
        return (self.directory or Path("/nonexistent")) / "git"

    def one(self, kind: str, **where: Any) -> dict[str, Any] | None:
        """Find the item that has these values."""
        items = self.data[kind]
        return next((item for item in items if where.items() <= item.items()), None)

    def next_id(self) -> int:
        self.data["last_id"] += 1
        return self.data["last_id"]

    def now(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def save(self) -> None:
        """Write ``state.json`` in one move, if there is a directory for it."""
        if self.directory:
            new = self.directory / "state.json.new"
            new.write_text(json.dumps(self.data, indent=1), "utf-8")
            new.replace(self.directory / "state.json")


def _init_bare(folder: Path, default_branch: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    git = ["git", "-C", str(folder)]
    subprocess.run(["git", "init", "-q", "--bare", "-b", default_branch, str(folder)], check=True)
    for key in ("http.receivepack", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        subprocess.run([*git, "config", key, "true"], check=True)
