"""The sticky comment: one for each pull request and marker, whoever runs at the same time.

Its first line is hidden and says whose it is and how new. GitHub offers no compare-and-swap, so:

- only comments of the token's own author that *begin* with the marker count, on every page;
- after a create the comments are listed again; the lowest id stays, our other ones are deleted and
  the newest text wins, so that runs that created at once end with one comment;
- a text is not written over one of a greater order, nor where it stands already.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from torchproof.errors import HubError, PermissionMissing
from torchproof.hub.failures import Call, GoneError
from torchproof.hub.hub import Comment, Posted


if TYPE_CHECKING:
    from collections.abc import Callable

    from torchproof.hub.api import Api

MAX_BODY = 65_536
RESTARTS = 3
SAME_TIME = timedelta(minutes=10)  # more than all our waits together
ACTIONS_BOT = "github-actions[bot]"
NEEDS = "pull-requests: write"

_FIRST_LINE = re.compile(
    r"<!-- torchproof (?P<marker>\S+) order (?P<order>[0-9]{1,18}(?:\.[0-9]{1,18})*) -->(?:\r?\n|$)"
)


def marked(body: str, *, marker: str, order: tuple[int, ...]) -> str:
    """Put the hidden first line before a text."""
    numbers = ".".join(map(str, order))
    return f"<!-- torchproof {quote(marker)} order {numbers} -->\n{body}"


def unmarked(text: str) -> tuple[str, tuple[int, ...], str] | None:
    """Take a comment's text apart: marker, order, body; None if it is not one of ours."""
    first = _FIRST_LINE.match(text)
    if first is None:
        return None
    order = tuple(int(part) for part in first["order"].split("."))
    return unquote(first["marker"]), order, text[first.end() :]


def find(api: Api, number: int, marker: str) -> Comment | None:
    """Find the comment that is, or will become, the only one."""
    return next(iter(_ours(api, number, marker)), None)


def upsert(
    api: Api,
    number: int,
    body: str,
    *,
    marker: str,
    order: tuple[int, ...],
    key: Callable[[str], str] = str,
) -> Posted:
    """Make the one comment with this marker show the text; see `Hub.upsert_comment`."""
    text = marked(body, marker=marker, order=order)
    if len(text) > MAX_BODY:
        raise HubError(f"the comment has {len(text)} characters, GitHub takes {MAX_BODY}")
    for _ in range(RESTARTS):
        there = _ours(api, number, marker)
        comments = there or _create(api, number, text, marker)
        mine = Comment(id=0, url="", body=body, order=order)
        # Somebody deleted the comment after it was listed.
        with suppress(GoneError):
            return _settle(api, comments, mine, marker, key, created=not there)
    raise HubError(f"the comment on #{number} is deleted as fast as it is written")


def _create(api: Api, number: int, text: str, marker: str) -> list[Comment]:
    """Post the text, then list: another run may have posted meanwhile."""
    call = Call(
        verb="POST",
        path=f"/repos/{api.repository}/issues/{number}/comments",
        purpose=f"comment on #{number}",
        needs=NEEDS,
        body={"body": text},
        holds=("id", "html_url", "body", "created_at"),
    )
    made = api.once(call, lambda: next(iter(_items(api, number, marker)), None))
    return _ours(api, number, marker, since=_shortly_before(made)) or [_comment(made)]


def _shortly_before(made: dict[str, Any]) -> str:
    """Return a time, by GitHub's clock, that no run creating at once with ours precedes."""
    created = datetime.fromisoformat(made["created_at"])
    return (created - SAME_TIME).strftime("%Y-%m-%dT%H:%M:%SZ")


def _settle(
    api: Api,
    comments: list[Comment],
    mine: Comment,
    marker: str,
    key: Callable[[str], str],
    *,
    created: bool,
) -> Posted:
    """Leave one comment with the newest of all texts."""
    kept, *others = comments
    newest = max([mine, *comments], key=lambda comment: comment.order)
    differs = key(_plain(kept.body)) != key(_plain(newest.body))
    if differs:
        _edit(api, kept, marked(newest.body, marker=marker, order=newest.order))
    for other in others:
        _delete(api, other)
    if newest is not mine and key(_plain(newest.body)) != key(_plain(mine.body)):
        return Posted(url=kept.url, action="superseded")
    if differs:
        return Posted(url=kept.url, action="edited")
    return Posted(url=kept.url, action="created" if created else "unchanged")


def _edit(api: Api, comment: Comment, text: str) -> None:
    call = Call(
        verb="PATCH",
        path=f"/repos/{api.repository}/issues/comments/{comment.id}",
        purpose="edit its comment",
        needs=NEEDS,
        body={"body": text},
    )
    api.ask(call)


def _delete(api: Api, comment: Comment) -> None:
    call = Call(
        verb="DELETE",
        path=f"/repos/{api.repository}/issues/comments/{comment.id}",
        purpose="delete a second comment",
        needs=NEEDS,
        expects=None,
    )
    # The run that created it deletes it too.
    with suppress(GoneError):
        api.ask(call)


def _ours(api: Api, number: int, marker: str, *, since: str = "") -> list[Comment]:
    return [_comment(item) for item in _items(api, number, marker, since)]


def _items(api: Api, number: int, marker: str, since: str = "") -> list[dict[str, Any]]:
    """List our comments with the marker, oldest first; those written since then, if given."""
    call = Call(
        verb="GET",
        path=f"/repos/{api.repository}/issues/{number}/comments",
        purpose=f"list the comments on #{number}",
        needs=NEEDS,
        query={"since": since} if since else None,
        expects=list,
    )
    found = [item for item in api.items(call) if _is_marked(item, marker)]
    author_ = author(api) if found else None
    ours = [item for item in found if (item.get("user") or {}).get("login") == author_]
    return sorted(ours, key=lambda item: int(item["id"]))


def _is_marked(item: dict[str, Any], marker: str) -> bool:
    parts = unmarked(item.get("body") or "")
    return parts is not None and parts[0] == marker


def author(api: Api) -> str:
    """Return the token's own login, asked for once and only when there is something to compare."""
    if api.author is None:
        call = Call(verb="GET", path="/user", purpose="say whose token this is", holds=("login",))
        try:
            api.author = str(api.ask(call).data["login"])
        except PermissionMissing:
            # The workflow's own token has no user.
            api.author = ACTIONS_BOT
    return api.author


def _comment(item: dict[str, Any]) -> Comment:
    _, order, body = unmarked(item["body"]) or ("", (), item["body"])
    return Comment(id=int(item["id"]), url=str(item.get("html_url", "")), body=body, order=order)


def _plain(body: str) -> str:
    return body.replace("\r\n", "\n").rstrip()
