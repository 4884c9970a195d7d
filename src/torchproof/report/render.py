"""Views through templates: the comment, the job summary and the check run's text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jinja2 import FunctionLoader, StrictUndefined, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment

from torchproof.assets import asset
from torchproof.report.body import FOOTER
from torchproof.report.budget import characters, fit, octets
from torchproof.report.view import view


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torchproof.report.model import Report
    from torchproof.report.view import View

COMMENT_CHARACTERS = 65_536
CHECK_BYTES = 65_535
SUMMARY_BYTES = 1024 * 1024
# The marker is written by the hub and the footer after the template.
RESERVED = 1_024

_MINUTE = 60


def comment(report: Report, *, template: str = "", template_name: str = "") -> str:
    """Write the pull-request comment, without its marker.

    Args:
        report: What there is to say.
        template: Source of the user's template, empty for ours. It extends ours by blocks.
        template_name: What to call it in an error.

    Raises:
        TemplateError: The user's template cannot be rendered; show ours, with the error in
            ``Context.notes``.
    """
    limit = COMMENT_CHARACTERS - RESERVED
    if template:
        from torchproof.report.user_template import render_in_child

        text = render_in_child(template, template_name, view(report), limit=limit)
    else:
        text = render(sources(), "comment.md.j2", view(report), limit=limit, size=characters)
    return f"{text}\n\n{_footer(report)}\n"


def summary(report: Report) -> str:
    """Write the job summary, which has every row."""
    limit = SUMMARY_BYTES - RESERVED
    text = render(sources(), "summary.md.j2", view(report), limit=limit, size=octets)
    return f"{text}\n\n{_footer(report)}\n"


def check(report: Report) -> str:
    """Write the check run's summary; its title is the headline and does not stand in it."""
    limit = CHECK_BYTES - RESERVED
    return render(sources(), "check.md.j2", view(report), limit=limit, size=octets) + "\n"


def render(
    templates: Mapping[str, str],
    name: str,
    data: View,
    *,
    limit: int,
    size: Callable[[str], int],
) -> str:
    """Render one of ``templates``, with as much of the data as the limit allows."""
    template = environment(templates).get_template(name)
    return fit(data, lambda less: _tidy(template.render(less)), limit=limit, size=size)


def environment(templates: Mapping[str, str]) -> ImmutableSandboxedEnvironment:
    """Make the sandbox: no globals, no undefined names, no file outside ``templates``."""

    def load(name: str) -> tuple[str, str, Callable[[], bool]]:
        if name not in templates:
            raise TemplateNotFound(name)
        return templates[name], name, lambda: True

    sandbox = ImmutableSandboxedEnvironment(
        loader=FunctionLoader(load),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # What reaches a template is Markdown whose untrusted parts are code spans; HTML escapes
        # would show up in them as text.
        autoescape=False,
    )
    sandbox.globals.clear()
    return sandbox


def sources() -> dict[str, str]:
    """Return torchproof's own templates by name."""
    found = sorted(asset("templates").glob("*.md.j2"))
    return {path.name: path.read_text("utf-8") for path in found}


def _tidy(text: str) -> str:
    """Leave one empty line between blocks, whatever blocks a template left out."""
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _footer(report: Report) -> str:
    """Write the one line that differs from run to run."""
    context = report.context
    number = f"run {context.run_number}" if context.run_number else "this run"
    again = f", attempt {context.attempt}" if context.attempt > 1 else ""
    run = f"[{number}]({_url(context.run_url)})" if context.run_url else number
    gpu = f" · {_duration(report.gpu_seconds)} on a GPU" if report.gpu_seconds else ""
    return f"{FOOTER}torchproof · {run}{again} · {_duration(report.seconds)}{gpu}</sub>"


def _url(url: str) -> str:
    return re.sub(r"[^A-Za-z0-9/:._~-]", lambda found: f"%{ord(found[0]):02X}", url)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
