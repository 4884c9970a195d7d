"""Commands on the history: list, show, import, export, compact."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from torchproof import record, settings
from torchproof.commands.output import as_json, show, write
from torchproof.errors import RecordError
from torchproof.history import compaction
from torchproof.history.store import History
from torchproof.report.phrase import count as counted


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.record import Record

remote_option = click.option(
    "--remote",
    default="origin",
    show_default=True,
    help="A remote of this checkout, or an address.",
)


@click.group()
def history() -> None:
    """Look at, and look after, the stored run records."""


@contextmanager
def open_history(remote: str) -> Iterator[History]:
    """Open the history of a remote of this checkout, on the branch that is configured.

    Files of it that cannot be read are named on stderr in the end.
    """
    branch = settings.load(Path.cwd()).history_branch
    with History(_address(remote), branch=branch) as opened:
        try:
            yield opened
        finally:
            for file in opened.damaged:
                click.echo(f"left out {file.path}: {file.why}", err=True)


@history.command("list")
@remote_option
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many, newest last.",
)
@as_json
def list_(remote: str, count: int, *, as_json: bool) -> None:
    """List the stored records."""
    with open_history(remote) as opened:
        entries = [entry for batch in opened.fetch().batches() for entry in batch.entries]
    names = [entry.name.path for entry in entries[:count][::-1]]
    show(names, "\n".join(names) or "The history is empty.", as_json=as_json)


@history.command("show")
@click.argument("name")
@remote_option
def show_(name: str, remote: str) -> None:
    """Print a record by its NAME in the list, or by the start of it."""
    with open_history(remote) as opened:
        snapshot = opened.fetch()
        entries = [entry for batch in snapshot.batches() for entry in batch.entries]
        named = [entry for entry in entries if entry.name.path.startswith(name)]
        found = snapshot.read(named)
    if not found:
        what = (
            f"the record {name!r:.200} cannot be read"
            if named
            else f"no record has the name {name!r:.200}"
        )
        raise RecordError(what, "See `torchproof history list`.")
    for one in found:
        click.echo(record.dumps(one), nl=False)


@history.command("export")
@click.argument("directory", type=click.Path(path_type=Path))
@remote_option
def export(directory: Path, remote: str) -> None:
    """Write every record into DIRECTORY, one file each."""
    with open_history(remote) as opened:
        snapshot = opened.fetch()
        entries = [entry for batch in snapshot.batches() for entry in batch.entries]
        readable = snapshot.readable(entries)
    for entry, one in readable:
        write(directory / entry.name.path, record.dumps(one))
    click.echo(f"{counted(len(readable), 'record')} written to {directory}")


@history.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@remote_option
def import_(files: tuple[Path, ...], remote: str) -> None:
    """Store records from FILES; none is stored twice."""
    records = [_with_source(file) for file in files]
    with open_history(remote) as opened:
        stored = opened.append(records)
    where = f"on {stored.inbox}: {stored.why}" if stored.inbox else f"in {stored.commit}"
    click.echo(f"{counted(len(records), 'record')} {where}")


@history.command("compact")
@remote_option
def compact(remote: str) -> None:
    """Put the days that are over into archives."""
    with open_history(remote) as opened:
        opened.fetch()
        compaction.compact(opened, today=datetime.now(UTC).date())
    click.echo("Compacted.")


def _with_source(file: Path) -> Record:
    made = record.load(file)
    if made.source is None:
        what = "the record does not say of which commit it is, so the history cannot hold it"
        remedy = "Import records of the action, as `torchproof history export` writes them."
        raise RecordError(what, remedy, where=str(file))
    return made


def _address(remote: str) -> str:
    """Resolve a remote's name as this checkout knows it, and a path as seen from here."""
    done = subprocess.run(
        ["git", "remote", "get-url", "--", remote], capture_output=True, text=True, check=False
    )
    address = done.stdout.strip() or remote
    return str(Path(address).resolve()) if Path(address).exists() else address
