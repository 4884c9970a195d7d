"""What happened on GitHub, in the few facts that a plan depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Mapping

NO_COMMIT = "0" * 40


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """The pull request an event is about.

    ``head_repository`` is None when the fork it came from is gone; that counts as a fork.
    """

    number: int
    head_sha: str
    head_ref: str
    base_sha: str
    base_ref: str
    head_repository: str | None
    fork: bool


@dataclass(frozen=True, kw_only=True)
class Run:
    """The workflow run that torchproof is part of.

    ``workflow_path`` is the file that can be dispatched (``.github/workflows/torchproof.yml``).
    """

    id: str
    number: int
    attempt: int
    job: str
    workflow_path: str
    server_url: str
    api_url: str
    self_hosted: bool


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event of one repository.

    ``sha`` is the commit in the workspace; for a pull request that is its merge commit, unless
    the workflow checks out something else. ``before`` is the branch's earlier tip of a push, all
    zeros for a new branch.
    """

    name: str
    repository: str
    default_branch: str
    sha: str
    ref: str
    branch: str
    run: Run
    action: str = ""
    before: str = ""
    pull_request: PullRequest | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def from_fork(self) -> bool:
        """True when the code under test was not written by somebody with write access."""
        return self.pull_request is not None and self.pull_request.fork

    @property
    def deleted(self) -> bool:
        """True when the event leaves no commit to test."""
        return self.sha == NO_COMMIT
