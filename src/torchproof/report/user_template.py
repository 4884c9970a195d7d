"""A user's template, rendered where it can do no harm.

The sandbox stops a template from reaching Python; only the system stops it from taking all memory
and time. So it is rendered in a child process with an empty environment, 512 MB, 5 s of processor
time and 10 s altogether; where we are root the child is nobody.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from torchproof.errors import TemplateError
from torchproof.report.body import MARKER
from torchproof.report.budget import characters
from torchproof.report.render import sources


if TYPE_CHECKING:
    from torchproof.report.view import View

WALL_SECONDS = 10
REMEDY = "Extend comment.md.j2 and print only what its blocks print."

_CHILD = (sys.executable, "-I", "-m", "torchproof.report.template_child")


def render_in_child(template: str, name: str, data: View, *, limit: int) -> str:
    """Render a user's template of the comment.

    Args:
        template: Its source.
        name: Its path, for errors.
        data: The view.
        limit: In characters.

    Raises:
        TemplateError: It is broken, too long, too slow, takes too much memory, or writes what
            looks like our marker; the error names file and line where there is one.
    """
    name = name or "the template"
    request = {"name": name, "templates": {**sources(), name: template}, "view": data}
    try:
        answer = _ask(json.dumps({**request, "limit": limit}).encode())
    except subprocess.TimeoutExpired:
        raise TemplateError(f"it takes more than {WALL_SECONDS} s", REMEDY, where=name) from None
    if "error" in answer:
        where = f"{name}:{answer['line']}" if answer.get("line") else name
        raise TemplateError(answer["error"], REMEDY, where=where)
    return _checked(answer["text"], name, limit)


def _ask(request: bytes) -> dict[str, str]:
    done = subprocess.run(
        _CHILD, input=request, capture_output=True, timeout=WALL_SECONDS, env={}, check=False
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {"error": "it takes more memory or time than a template may"}
    return answer if isinstance(answer, dict) else {}


def _checked(text: str, name: str, limit: int) -> str:
    if MARKER in text:
        raise TemplateError("it writes torchproof's marker", "Leave it out.", where=name)
    if not text.strip():
        raise TemplateError("it writes nothing", REMEDY, where=name)
    if characters(text) > limit:
        raise TemplateError(f"it writes more than {limit} characters", REMEDY, where=name)
    return text
