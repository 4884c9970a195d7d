"""Check runs: opened in progress before the tests, completed with what came out.

GitHub takes 50 annotations a request and adds each request's to those that are there, so that a
request that carries some must not take effect twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchproof.hub.failures import Call


if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchproof.hub.api import Api
    from torchproof.hub.hub import Annotation, Conclusion

BATCH = 50
MAX_ANNOTATIONS = 150
MAX_TITLE = 255
MAX_SUMMARY = 65_535
MAX_MESSAGE = 4_096
NEEDS = "checks: write"


def open_check(api: Api, sha: str, *, name: str, external_id: str) -> int:
    """Open a check run in progress; see `Hub.open_check`.

    Its answer names the app behind the token, whose comments are ours: this saves asking for it.
    """
    body = {"name": name, "head_sha": sha, "status": "in_progress", "external_id": external_id}
    call = Call(
        verb="POST",
        path=f"/repos/{api.repository}/check-runs",
        purpose="open a check run",
        needs=NEEDS,
        body=body,
        holds=("id",),
    )
    check = api.once(call, lambda: _find(api, sha, name, external_id))
    slug = (check.get("app") or {}).get("slug")
    if slug:
        api.author = f"{slug}[bot]"
    return int(check["id"])


def finish_check(
    api: Api,
    check_id: int,
    *,
    conclusion: Conclusion,
    title: str,
    summary: str,
    annotations: Sequence[Annotation],
) -> None:
    """Complete a check run; annotations after the first 150 are left out."""
    marks = [_annotation(item) for item in annotations[:MAX_ANNOTATIONS]]
    output = {"title": title[:MAX_TITLE] or conclusion, "summary": summary[:MAX_SUMMARY]}
    for start in range(0, max(1, len(marks)), BATCH):
        batch = marks[start : start + BATCH]
        body = {
            "status": "completed",
            "conclusion": conclusion,
            "output": {**output, "annotations": batch},
        }
        _update(api, check_id, body, annotated=start + len(batch))


def _update(api: Api, check_id: int, body: dict[str, Any], *, annotated: int) -> None:
    path = f"/repos/{api.repository}/check-runs/{check_id}"
    call = Call(verb="PATCH", path=path, purpose="complete its check run", needs=NEEDS, body=body)
    api.once(call, lambda: _updated(api, path, annotated))


def _updated(api: Api, path: str, annotated: int) -> dict[str, Any] | None:
    """Return the check run if it is completed and carries that many annotations."""
    call = Call(verb="GET", path=path, purpose="read its check run", needs=NEEDS)
    check: dict[str, Any] = api.ask(call).data
    count = (check.get("output") or {}).get("annotations_count", 0)
    return check if check.get("status") == "completed" and count >= annotated else None


def _find(api: Api, sha: str, name: str, external_id: str) -> dict[str, Any] | None:
    call = Call(
        verb="GET",
        path=f"/repos/{api.repository}/commits/{sha}/check-runs",
        purpose="list the check runs of the commit",
        needs=NEEDS,
        query={"check_name": name},
    )
    found = api.items(call, key="check_runs")
    return next((check for check in found if check.get("external_id") == external_id), None)


def _annotation(item: Annotation) -> dict[str, Any]:
    body = {
        "path": item.path,
        "start_line": item.line,
        "end_line": item.line,
        "annotation_level": item.level,
        "message": item.message[:MAX_MESSAGE] or item.title,
    }
    return {**body, "title": item.title[:MAX_TITLE]} if item.title else body
