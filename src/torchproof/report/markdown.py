"""GitHub's Markdown from untrusted text.

A text from a record stands only in a code span or a code block whose fence is longer than any run
of backticks in it: there GitHub makes no tag, mention, reference or link of it. A backslash or
``html.escape`` do not do that. A pipe would still end a table's cell and is replaced.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torchproof.report.phrase import MAX_NAME, Name, shown, visible


if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchproof.report.phrase import Phrase

MAX_LINES = 40
MAX_PROSE = 400
MAX_LINE = 400
PIPE = "\u2223"  # DIVIDES, which looks like a pipe

_TICKS = re.compile("`+")
_HARMLESS = re.compile(r"[A-Za-z0-9 ,.;:()%='+\-→≥≤·…]*")
_LINK = re.compile(r"www\.|https?:|ftp:", re.IGNORECASE)


def codespan(text: str, limit: int = MAX_NAME) -> str:
    """Write a text as a code span that nothing in it can end."""
    text = _defused(visible(text, limit)).replace("|", PIPE)
    fence = "`" * (_longest_run(text) + 1)
    bare = text and text.strip(" `") == text
    return f"{fence}{text}{fence}" if bare else f"{fence} {text} {fence}"


def prose(text: str) -> str:
    """Write our own words; what holds a character of any meaning becomes a code span."""
    if _HARMLESS.fullmatch(text) and not _LINK.search(text):
        return text
    return codespan(text, MAX_PROSE)


def markdown(phrase: Phrase) -> str:
    """Write a phrase: names as code spans, our words as they are."""
    text = ""
    for part in filter(None, phrase):
        new = codespan(part) if isinstance(part, Name) else prose(part)
        # Two code spans side by side would share their backticks.
        text += " " + new if text.endswith("`") and new.startswith("`") else new
    return text


def code_block(text: str, language: str = "text") -> str:
    """Write a text of several lines as a code block that no line in it can close.

    Args:
        text: At most `MAX_LINES` lines of it are shown.
        language: Our word for what it is.
    """
    lines = re.split(r"\r\n|\r|\n", text.strip("\r\n"))
    cut = ["".join(map(shown, line[:MAX_LINE])).rstrip() for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        cut.append(f"… {len(lines) - MAX_LINES} more lines")
    body = _defused(re.sub(r"\n{3,}", "\n\n", "\n".join(cut)))
    fence = "`" * max(3, _longest_run(body) + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, list[str]]:
    """Write a table without the columns that are empty in every row.

    Args:
        header: A title for each column.
        rows: Cells that are Markdown already.

    Returns:
        The two lines of the header, and one line a row.
    """
    used = [i for i in range(len(header)) if any(row[i] for row in rows)]
    head = f"{_line([header[i] for i in used])}\n{_line(['---'] * len(used))}"
    return head, [_line([row[i] for i in used]) for row in rows]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _longest_run(text: str) -> int:
    return max((len(run) for run in _TICKS.findall(text)), default=0)


def _defused(text: str) -> str:
    """Break the opening of an HTML comment, so that no text looks like our marker."""
    return text.replace("<!--", "<!\\u{2d}-")
