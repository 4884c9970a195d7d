"""What of a comment's body counts when it is asked whether anything changed.

The hub puts a hidden first line before the body: the marker. The last line, the footer, names the
run. Both differ between two runs with the same result, so a comment is edited only when `body_key`
differs. The head's commit is part of the key: a comment that speaks of another commit is stale.
"""

from __future__ import annotations


MARKER = "<!-- torchproof"
FOOTER = "<sub>"


def body_key(text: str) -> str:
    """Return what a comment says, without what differs from run to run."""
    lines = text.replace("\r\n", "\n").strip().split("\n")
    if lines[0].startswith(MARKER):
        lines = lines[1:]
    if lines and lines[-1].startswith(FOOTER):
        lines = lines[:-1]
    return "\n".join(lines).strip()
