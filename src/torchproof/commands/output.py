"""How commands print: for a person, or as JSON."""

from __future__ import annotations

import json
from typing import Any

import click


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def show(value: Any, text: str, *, as_json: bool) -> None:
    """Print a result."""
    click.echo(json.dumps(value, indent=1, sort_keys=True) if as_json else text)
