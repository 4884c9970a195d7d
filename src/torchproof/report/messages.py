"""What a row's message says, less what the report says in another place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.report.labels import capability


if TYPE_CHECKING:
    from torchproof.verdict import Row


def told(row: Row) -> str:
    """Return a row's message without our own name, and of a capability without its examples."""
    text = row.message.removeprefix("torchproof: ")
    return text.partition("\n\n")[0] if capability(row) else text


def gist(row: Row) -> str:
    """Return what a table has room for: of a capability its rate, as its slices have own rows."""
    return told(row).partition("\n")[0] if capability(row) else told(row)
