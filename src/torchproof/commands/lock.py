"""Contracts between services from a shell: make a lock, check a model and its weights."""

from __future__ import annotations

from pathlib import Path

import click

from torchproof.commands.output import as_json, show


@click.group()
def lock() -> None:
    """Lock a model's architecture, or check a model against a lock."""


@lock.command()
@click.argument("target", metavar="FILE.py:BUILD")
@click.argument("file", metavar="LOCK", type=click.Path(path_type=Path))
@click.option("--schema-only", is_flag=True, help="Names and shapes of the weights, no probe.")
def make(target: str, file: Path, *, schema_only: bool) -> None:
    """Write the lock of a model.

    BUILD is a function that returns (model, example).
    """
    from torchproof.contracts import shell

    click.echo(shell.make(target, file, schema_only=schema_only))


@lock.command()
@click.argument("target", metavar="FILE.py:BUILD")
@click.argument("file", metavar="LOCK")
@click.option("--weights", type=click.Path(path_type=Path), help="A safetensors file to check too.")
@as_json
def check(target: str, file: str, weights: Path | None, *, as_json: bool) -> int:
    """Compare a model with a lock, which is a file or an https address."""
    from torchproof.contracts import shell

    found = shell.check(target, file, weights=weights)
    show(shell.document(found), str(found), as_json=as_json)
    return int(found.breaks)
