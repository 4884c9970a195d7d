"""How commands print, for a person or as JSON, and how they write files."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from torchproof.errors import UsageError
from torchproof.record.strict_json import spell


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def show(value: Any, text: str, *, as_json: bool) -> None:
    """Print a result; the JSON is strict, and what it has no word for becomes a text."""
    if as_json:
        text = json.dumps(spell(value), indent=1, sort_keys=True, allow_nan=False, default=str)
    click.echo(text)


def make_room(path: Path) -> None:
    """Make the directories above a file, and see that it can be written before work is spent on it.

    Raises:
        UsageError: It cannot be written.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        made = not path.exists()
        path.open("ab").close()
        if made:
            path.unlink()


def write(path: Path, data: bytes) -> None:
    """Write a file, and the directories above it.

    Raises:
        UsageError: It cannot be written.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"it cannot be written: {error.strerror}"
        raise UsageError(what, "Name another path.", where=str(path)) from error
