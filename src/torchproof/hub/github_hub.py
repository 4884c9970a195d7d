"""One repository on GitHub: the `Hub` that every workflow run uses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from torchproof.hub import checks, comment, dispatch, issues
from torchproof.hub.api import Api
from torchproof.hub.events import GITHUB_API, pull_request_of
from torchproof.hub.failures import Call


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torchproof.hub.hub import Annotation, Comment, Conclusion, Dispatched, Issue, Posted
    from torchproof.plan.event import PullRequest


class GitHub:
    """The `Hub` of one repository; see `Api` for the arguments."""

    def __init__(
        self,
        repository: str,
        *,
        token: str,
        api_url: str = GITHUB_API,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = Api(repository, token=token, api_url=api_url, sleep=sleep)

    @property
    def calls(self) -> int:
        """Count the API requests made so far, repeated ones included."""
        return self._api.calls

    def open_check(self, sha: str, *, name: str, external_id: str) -> int:
        """Open a check run in progress and return its id."""
        return checks.open_check(self._api, sha, name=name, external_id=external_id)

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
        checks.finish_check(
            self._api,
            check_id,
            conclusion=conclusion,
            title=title,
            summary=summary,
            annotations=annotations,
        )

    def find_comment(self, number: int, marker: str) -> Comment | None:
        """Find our comment with this marker on a pull request."""
        return comment.find(self._api, number, marker)

    def upsert_comment(
        self,
        number: int,
        body: str,
        *,
        marker: str,
        order: tuple[int, ...],
        key: Callable[[str], str] = str,
    ) -> Posted:
        """Make the pull request's one comment with this marker show the text."""
        return comment.upsert(self._api, number, body, marker=marker, order=order, key=key)

    def dispatch(
        self, workflow_path: str, *, ref: str, inputs: Mapping[str, str], nonce: str = ""
    ) -> Dispatched:
        """Start a workflow by workflow_dispatch."""
        return dispatch.dispatch(self._api, workflow_path, ref=ref, inputs=inputs, nonce=nonce)

    def find_run(self, workflow_path: str, *, ref: str, nonce: str) -> Dispatched | None:
        """Find the run that was dispatched with a nonce."""
        return dispatch.find_run(self._api, workflow_path, ref=ref, nonce=nonce)

    def pull_request(self, number: int) -> PullRequest:
        """Look a pull request up."""
        call = Call(
            verb="GET",
            path=f"/repos/{self._api.repository}/pulls/{number}",
            purpose=f"show the pull request #{number}",
            needs="pull-requests: read",
        )
        return pull_request_of(self._api.ask(call).data, self._api.repository)

    def issues(self) -> list[Issue]:
        """List the issues of ours, open and closed, oldest first."""
        return issues.find_issues(self._api)

    def open_issue(self, title: str, body: str, *, marker: str, order: tuple[int, ...]) -> Issue:
        """Open an issue, unless there is one with this marker."""
        return issues.open_issue(self._api, title, body, marker=marker, order=order)

    def edit_issue(
        self, issue: Issue, *, title: str, body: str, order: tuple[int, ...], open_: bool
    ) -> Issue:
        """Make an issue say this, open or closed; the text of a greater order is left alone."""
        return issues.edit_issue(self._api, issue, title=title, body=body, order=order, open_=open_)

    def login_of(self, sha: str) -> str | None:
        """Return the account of a commit's author, None where GitHub knows none."""
        return issues.login_of(self._api, sha)
