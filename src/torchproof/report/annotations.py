"""Remarks on lines of the code, for the check run and the workflow commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from torchproof.report.labels import complaint
from torchproof.report.phrase import plain, visible
from torchproof.verdict import GATING


if TYPE_CHECKING:
    from torchproof.report.labels import Labels
    from torchproof.report.model import Report
    from torchproof.verdict import Row

MOST = 50
MAX_TITLE = 255
MAX_MESSAGE = 4_000

_PLACE = re.compile(r"(?P<path>[^:\n]{1,400}):(?P<line>\d{1,7})")


def annotate(report: Report) -> list[dict[str, Any]]:
    """Return path, line, title, message and level of each row that names a place, worst first.

    GitHub takes 50 of them in a request, so there are no more.
    """
    rows = (row for row in report.changed if row.state in (*GATING, "warning"))
    found = [remark for row in rows if (remark := _annotation(row, report.names))]
    return found[:MOST]


def _annotation(row: Row, names: Labels) -> dict[str, Any] | None:
    place = _PLACE.fullmatch(row.location or "")
    if not place or not _is_inside(place["path"]):
        return None
    said = [row.message.strip(), row.remedy.strip()]
    return {
        "path": place["path"],
        "line": max(1, int(place["line"])),
        "title": visible(f"torchproof: {plain(complaint(row, names))}", MAX_TITLE),
        "message": "\n".join(filter(None, said))[:MAX_MESSAGE] or row.why or row.state,
        "level": "failure" if row.state in GATING else "warning",
    }


def _is_inside(path: str) -> bool:
    steps = path.split("/")
    return not path.startswith("/") and ".." not in steps and visible(path, 400) == path
