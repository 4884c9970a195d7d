"""What the rest of torchproof may ask of GitHub, and what comes back.

`GitHub` in ``hub/github_hub.py`` does it over the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torchproof.plan.event import PullRequest

Conclusion = Literal["success", "failure", "neutral", "cancelled", "timed_out"]
Level = Literal["notice", "warning", "failure"]


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A remark on one line of the code, shown in the pull request's diff.

    ``path`` is relative to the repository; ``line`` counts from 1.
    """

    path: str
    line: int
    message: str
    title: str = ""
    level: Level = "failure"


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A sticky comment that is already there; ``order`` is what its writer gave."""

    id: int
    url: str
    body: str
    order: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Posted:
    """What became of a comment.

    ``superseded`` means that the text of a later run stands there and was left alone.
    """

    url: str
    action: Literal["created", "edited", "unchanged", "superseded"]


@dataclass(frozen=True, kw_only=True)
class Dispatched:
    """A workflow that was started; servers without run details name no run.

    ``over`` says that the run has ended, however that was; False where it is not known.
    """

    run_id: int | None = None
    url: str | None = None
    over: bool = False


@dataclass(frozen=True, kw_only=True)
class Issue:
    """An issue of ours; ``marker`` and ``order`` are what its writer gave."""

    number: int
    url: str
    title: str
    body: str
    marker: str
    order: tuple[int, ...]
    open: bool


class Hub(Protocol):
    """One repository on GitHub.

    Every method raises `HubError`, and `PermissionMissing` where the workflow lacks a permission.
    """

    @property
    def calls(self) -> int:
        """Count the API requests made so far, repeated ones included."""

    def open_check(self, sha: str, *, name: str, external_id: str) -> int:
        """Open a check run in progress and return its id."""

    def finish_check(
        self,
        check_id: int,
        *,
        conclusion: Conclusion,
        title: str,
        summary: str,
        annotations: Sequence[Annotation] = (),
    ) -> None:
        """Complete a check run."""

    def find_comment(self, number: int, marker: str) -> Comment | None:
        """Find our comment with this marker on a pull request."""

    def upsert_comment(
        self,
        number: int,
        body: str,
        *,
        marker: str,
        order: tuple[int, ...],
        key: Callable[[str], str] = str,
    ) -> Posted:
        """Make the pull request's one comment with this marker show the text.

        Args:
            number: Of the pull request.
            body: The text, without the marker.
            marker: What tells this comment from others of the same author.
            order: Grows from run to run and from stage to stage; a text that stands there with a
                greater order is left alone.
            key: What a text says; a comment with an equal key is not edited.
        """

    def dispatch(
        self, workflow_path: str, *, ref: str, inputs: Mapping[str, str], nonce: str = ""
    ) -> Dispatched:
        """Start a workflow by workflow_dispatch.

        Args:
            workflow_path: The file, as in ``.github/workflows/torchproof.yml``.
            ref: Branch or tag.
            inputs: Of the workflow.
            nonce: A text that the workflow's ``run-name`` shows, so that a start whose answer was
                lost is found and not repeated.
        """

    def find_run(self, workflow_path: str, *, ref: str, nonce: str) -> Dispatched | None:
        """Find the run that was dispatched with a nonce; a new one is not listed at once."""

    def pull_request(self, number: int) -> PullRequest:
        """Look a pull request up."""

    def issues(self) -> list[Issue]:
        """List the issues of ours, open and closed, oldest first."""

    def open_issue(self, title: str, body: str, *, marker: str, order: tuple[int, ...]) -> Issue:
        """Open an issue, unless there is one with this marker."""

    def edit_issue(
        self, issue: Issue, *, title: str, body: str, order: tuple[int, ...], open_: bool
    ) -> Issue:
        """Make an issue say this, open or closed; the text of a greater order is left alone."""

    def login_of(self, sha: str) -> str | None:
        """Return the account of a commit's author, None where GitHub knows none."""
