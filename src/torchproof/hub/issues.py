"""Issues with a hidden marker: one for each, found again in every run.

The first line is the sticky comment's: whose the issue is and how new its text. Of two runs that
open at once, both list afterwards; the issue with the lowest number stays and the other is closed,
as no token may delete one. Only issues of the token's own author count, open and closed ones alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchproof.errors import HubError
from torchproof.hub.comment import MAX_BODY, author, marked, unmarked
from torchproof.hub.failures import Call
from torchproof.hub.hub import Issue


if TYPE_CHECKING:
    from torchproof.hub.api import Api

NEEDS = "issues: write"
MAX_TITLE = 256
NO_ISSUES = "Turn on Issues in the repository's settings."


def find_issues(api: Api) -> list[Issue]:
    """List our issues, oldest first; see `Hub.issues`."""
    return sorted((_issue(item) for item in _items(api)), key=lambda issue: issue.number)


def open_issue(api: Api, title: str, body: str, *, marker: str, order: tuple[int, ...]) -> Issue:
    """Open the one issue with this marker; see `Hub.open_issue`."""
    text = _text(body, marker, order)
    call = Call(
        verb="POST",
        path=f"/repos/{api.repository}/issues",
        purpose="open an issue",
        needs=NEEDS,
        body={"title": title[:MAX_TITLE], "body": text},
        holds=("number", "html_url", "body", "state"),
        remedy=NO_ISSUES,
    )
    made = _issue(api.once(call, lambda: next(iter(_marked(api, marker)), None)))
    first, *others = [_issue(item) for item in _marked(api, marker)] or [made]
    for other in others:
        if other.open:
            _change(api, other.number, {"state": "closed", "state_reason": "not_planned"})
    return first


def edit_issue(
    api: Api,
    issue: Issue,
    *,
    title: str,
    body: str,
    order: tuple[int, ...],
    open_: bool,
) -> Issue:
    """Make an issue say this, open or closed; see `Hub.edit_issue`."""
    if issue.order > order or (issue.title, _plain(issue.body), issue.open) == (
        title[:MAX_TITLE],
        _plain(body),
        open_,
    ):
        return issue
    changes: dict[str, Any] = {"title": title[:MAX_TITLE]}
    changes["body"] = _text(body, issue.marker, order)
    if issue.open != open_:
        changes["state"] = "open" if open_ else "closed"
        changes["state_reason"] = "reopened" if open_ else "completed"
    return _issue(_change(api, issue.number, changes))


def login_of(api: Api, sha: str) -> str | None:
    """Return the account of a commit's author; see `Hub.login_of`."""
    call = Call(
        verb="GET",
        path=f"/repos/{api.repository}/commits/{sha}",
        purpose="show the commit",
        needs="contents: read",
    )
    found = (api.ask(call).data.get("author") or {}).get("login")
    return str(found) if found else None


def _change(api: Api, number: int, changes: dict[str, Any]) -> dict[str, Any]:
    call = Call(
        verb="PATCH",
        path=f"/repos/{api.repository}/issues/{number}",
        purpose="edit its issue",
        needs=NEEDS,
        body=changes,
        holds=("number", "html_url", "body", "state"),
        remedy=NO_ISSUES,
    )
    changed: dict[str, Any] = api.ask(call).data
    return changed


def _marked(api: Api, marker: str) -> list[dict[str, Any]]:
    found = [item for item in _items(api) if _issue(item).marker == marker]
    return sorted(found, key=lambda item: int(item["number"]))


def _items(api: Api) -> list[dict[str, Any]]:
    """List the issues that begin with a marker of ours; GitHub lists pull requests among them."""
    call = Call(
        verb="GET",
        path=f"/repos/{api.repository}/issues",
        purpose="list its issues",
        needs=NEEDS,
        query={"state": "all", "creator": author(api)},
        expects=list,
        remedy=NO_ISSUES,
    )
    return [
        item
        for item in api.items(call)
        if "pull_request" not in item
        and unmarked(item.get("body") or "")
        and (item.get("user") or {}).get("login") == api.author
    ]


def _issue(item: dict[str, Any]) -> Issue:
    text = item.get("body") or ""
    marker, order, body = unmarked(text) or ("", (), text)
    return Issue(
        number=int(item["number"]),
        url=str(item.get("html_url", "")),
        title=str(item.get("title", "")),
        body=body,
        marker=marker,
        order=order,
        open=item.get("state") == "open",
    )


def _text(body: str, marker: str, order: tuple[int, ...]) -> str:
    text = marked(body, marker=marker, order=order)
    if len(text) > MAX_BODY:
        raise HubError(f"the issue has {len(text)} characters, GitHub takes {MAX_BODY}")
    return text


def _plain(body: str) -> str:
    return body.replace("\r\n", "\n").rstrip()
