"""A hub without GitHub: what would have been posted lies in a directory.

The demo, the command line and tests use it; it keeps the promises of `Hub` that do not need a
network: one comment a pull request, a later run's text stays, nothing is edited without a change.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from torchproof.errors import HubError
from torchproof.hub.hub import Comment, Dispatched, Issue, Posted


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torchproof.hub.hub import Annotation, Conclusion
    from torchproof.plan.event import PullRequest


class OfflineHub:
    """Writes comments, check runs, issues and dispatches as files.

    Args:
        directory: Gets ``comment-<number>.md``, ``issue-<number>.md``, ``check-<id>.json`` and
            ``dispatches.json``.
        pull_requests: Those that `pull_request` can look up.
    """

    def __init__(self, directory: Path, pull_requests: Sequence[PullRequest] = ()) -> None:
        self._directory = directory
        self._pull_requests = {request.number: request for request in pull_requests}
        self._comments: dict[tuple[int, str], Comment] = {}
        self._checks: dict[int, dict[str, Any]] = {}
        self._issues: dict[int, Issue] = {}
        self._dispatches: list[dict[str, Any]] = []
        self.calls = 0
        directory.mkdir(parents=True, exist_ok=True)

    def open_check(self, sha: str, *, name: str, external_id: str) -> int:
        """Open a check run in progress and return its id."""
        number = len(self._checks) + 1
        self._checks[number] = {"sha": sha, "name": name, "external_id": external_id}
        self._write_check(number, status="in_progress")
        return number

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
        self._write_check(
            check_id,
            status="completed",
            conclusion=conclusion,
            title=title,
            summary=summary,
            annotations=[asdict(annotation) for annotation in annotations],
        )

    def find_comment(self, number: int, marker: str) -> Comment | None:
        """Find our comment with this marker on a pull request."""
        return self._comments.get((number, marker))

    def upsert_comment(
        self,
        number: int,
        body: str,
        *,
        marker: str,
        order: tuple[int, ...],
        key: Callable[[str], str] = str,
    ) -> Posted:
        """Write the comment unless it stands there or a later run's text does."""
        self.calls += 1
        path = self._directory / f"comment-{number}.md"
        old = self._comments.get((number, marker))
        if old and old.order > order:
            return Posted(url=old.url, action="superseded")
        if old and key(old.body) == key(body):
            return Posted(url=old.url, action="unchanged")
        path.write_text(body, "utf-8")
        self._comments[number, marker] = Comment(id=1, url=path.as_uri(), body=body, order=order)
        return Posted(url=path.as_uri(), action="edited" if old else "created")

    def dispatch(
        self, workflow_path: str, *, ref: str, inputs: Mapping[str, str], nonce: str = ""
    ) -> Dispatched:
        """Note the dispatch; nothing runs."""
        self.calls += 1
        self._dispatches.append(
            {"workflow": workflow_path, "ref": ref, "inputs": dict(inputs), "nonce": nonce}
        )
        text = json.dumps(self._dispatches, indent=1)
        (self._directory / "dispatches.json").write_text(text, "utf-8")
        return Dispatched(run_id=len(self._dispatches))

    def find_run(self, workflow_path: str, *, ref: str, nonce: str) -> Dispatched | None:
        """Find a dispatch that was noted."""
        for number, each in enumerate(self._dispatches, start=1):
            if (each["workflow"], each["ref"], each["nonce"]) == (workflow_path, ref, nonce):
                return Dispatched(run_id=number)
        return None

    def pull_request(self, number: int) -> PullRequest:
        """Look a pull request up among those that were given."""
        try:
            return self._pull_requests[number]
        except KeyError:
            raise HubError(f"there is no pull request {number}", "Check its number.") from None

    def issues(self) -> list[Issue]:
        """List the issues, open and closed, oldest first."""
        return list(self._issues.values())

    def open_issue(self, title: str, body: str, *, marker: str, order: tuple[int, ...]) -> Issue:
        """Write an issue, unless there is one with this marker."""
        same = [issue for issue in self._issues.values() if issue.marker == marker]
        number = len(self._issues) + 1
        path = self._directory / f"issue-{number}.md"
        new = Issue(
            number=number,
            url=path.as_uri(),
            title=title,
            body=body,
            marker=marker,
            order=order,
            open=True,
        )
        return same[0] if same else self._write_issue(new)

    def edit_issue(
        self, issue: Issue, *, title: str, body: str, order: tuple[int, ...], open_: bool
    ) -> Issue:
        """Write an issue anew; the text of a greater order is left alone."""
        if issue.order > order:
            return issue
        return self._write_issue(replace(issue, title=title, body=body, order=order, open=open_))

    def login_of(self, sha: str) -> str | None:
        """Know nobody."""

    def _write_issue(self, issue: Issue) -> Issue:
        self.calls += 1
        self._issues[issue.number] = issue
        path = self._directory / f"issue-{issue.number}.md"
        path.write_text(f"# {issue.title}\n\n{issue.body}", "utf-8")
        return issue

    def _write_check(self, number: int, **fields: object) -> None:
        self.calls += 1
        self._checks[number] |= fields
        path = self._directory / f"check-{number}.json"
        path.write_text(json.dumps(self._checks[number], indent=1), "utf-8")
