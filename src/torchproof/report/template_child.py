"""The child process that renders a user's template: a request in, an answer out, as JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

from jinja2 import TemplateError as JinjaError
from jinja2 import TemplateSyntaxError

from torchproof.errors import TorchproofError
from torchproof.report.budget import characters
from torchproof.report.render import render


MEMORY_BYTES = 512 * 1024 * 1024
CPU_SECONDS = 5
NOBODY = 65534


def main() -> None:
    """Answer the one request on stdin."""
    request = json.loads(sys.stdin.buffer.read())
    # Renders ours first: nobody may not be able to read what Python loads on the first use.
    answer({**request, "name": "comment.md.j2"})
    confine()
    sys.stdout.write(json.dumps(answer(request)))


def confine() -> None:
    """Give up everything that rendering does not need."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Render, or say what is wrong and in which line."""
    name = request["name"]
    try:
        text = render(
            request["templates"], name, request["view"], limit=request["limit"], size=characters
        )
    except TemplateSyntaxError as error:
        return {"error": _sentence(error), "line": error.lineno}
    except TorchproofError as error:
        return {"error": error.what}
    except MemoryError:
        return {"error": "it takes more memory than a template may"}
    except (
        JinjaError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        return {"error": _sentence(error), "line": _line(error, name)}
    return {"text": text}


def _sentence(error: Exception) -> str:
    return str(error).rstrip(".")[:300] or type(error).__name__


def _line(error: Exception, name: str) -> int | None:
    """Return the template's line in the traceback, which Jinja rewrites to it."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == name:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


if __name__ == "__main__":
    main()
