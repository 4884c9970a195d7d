"""A report in a terminal: the same lines in the same order, with colours instead of Markdown."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from torchproof.report.labels import label
from torchproof.report.messages import told
from torchproof.report.phrase import plain, visible
from torchproof.report.view import ICONS
from torchproof.verdict import GATING


if TYPE_CHECKING:
    from collections.abc import Iterable

    from torchproof.report.labels import Labels
    from torchproof.report.model import Report
    from torchproof.verdict import Row

MOST = 25
INDENT = "    "

_RESET = "\033[0m"
_STYLES = {"bold": "\033[1m", "dim": "\033[2m", "red": "\033[31m", "green": "\033[32m"}
_COLOURS = dict.fromkeys(GATING, "red") | dict.fromkeys(("fixed", "better"), "green")


def terminal(report: Report, *, colour: bool = True, width: int = 100) -> str:
    """Write a report for a terminal.

    Args:
        report: What there is to say.
        colour: Use ANSI colours.
        width: In characters.
    """

    def paint(text: str, style: str) -> str:
        return f"{_STYLES[style]}{text}{_RESET}" if colour and style else text

    lines = [paint(f"{report.icon} {plain(report.headline)}", "bold")]
    lines += [paint(line, "dim") for line in _wrapped(plain(report.compared), width, "   ")]
    for note in report.notes:
        lines += ["", *_wrapped(plain(note), width, "")]
    for row in report.changed[:MOST]:
        lines += ["", paint(_first_line(row, report.names), _COLOURS.get(row.state, ""))]
        lines += [paint(line, "dim") for text in _details(row) for line in _wrapped(text, width)]
    rest = len(report.changed) - MOST
    lines += ["", f"… {rest} more rows"] if rest > 0 else []
    for reason in report.reasons:
        lines += ["", *_wrapped(plain(reason), width, "")]
    lines += ["", *(paint(line, "dim") for line in _closing(report))]
    return "\n".join(lines) + "\n"


def _first_line(row: Row, names: Labels) -> str:
    numbers = " → ".join(visible(part) for part in (row.before, row.now) if part)
    limit = f"  (limit {visible(row.limit)})" if row.limit else ""
    name = visible(row.tier) + ": " * bool(row.tier) + plain(label(row, names))
    return f"{ICONS[row.state]} {row.state:<12} {name}  {numbers}{limit}".rstrip()


def _details(row: Row) -> Iterable[str]:
    for line in " ".join(filter(None, (row.why, told(row)))).expandtabs().splitlines()[:20]:
        yield " " * (len(line) - len(line.lstrip())) + visible(line, 400)
    if row.location:
        yield f"at {visible(row.location)}"
    for line in row.remedy.splitlines()[:20]:
        yield visible(line, 400)


def _closing(report: Report) -> Iterable[str]:
    if report.unchanged:
        yield f"{len(report.unchanged)} {'unchanged' if report.verdict.compared else 'passed'}"
    if report.commands:
        yield "run it again:"
        yield from (f"  {line}" for line in report.commands)


def _wrapped(text: str, width: int, indent: str = INDENT) -> list[str]:
    lines = textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)
    return lines or [""]
