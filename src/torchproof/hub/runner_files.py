"""What the runner reads from a step: output and summary files, and commands on standard output.

Formats and limits are those of actions/runner (FileCommandManager.cs, ActionCommand.cs,
ExecutionContext.cs): a summary of more than 1 MiB is dropped whole, of each type of annotation the
first ten are kept, their text is cut at 4,096 characters, and a block of a multi-line output ends
at the first line that equals its delimiter.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from torchproof.errors import HostError


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torchproof.errors import TorchproofError
    from torchproof.hub.hub import Annotation

MAX_SUMMARY = 1024 * 1024  # bytes
MAX_ANNOTATIONS = 10
MAX_MESSAGE = 4_096
CUT = "\n\n… the rest did not fit into the 1 MiB that GitHub shows.\n"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_COMMANDS = {"failure": "error", "warning": "warning", "notice": "notice"}


def write_outputs(
    environ: Mapping[str, str],
    values: Mapping[str, str],
    *,
    delimiter: Callable[[], str] = lambda: f"ghadelimiter_{uuid.uuid4()}",
) -> None:
    """Append step outputs to the file that GITHUB_OUTPUT names, all of them or none."""
    text = "".join(output_block(name, value, delimiter()) for name, value in values.items())
    _append(environ.get("GITHUB_OUTPUT", ""), text.encode("utf-8", "replace"))


def output_block(name: str, value: str, delimiter: str) -> str:
    """Write one output as the runner reads it.

    Raises:
        ValueError: The name is none, or the value holds the delimiter and could end its block.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name an output")
    if delimiter in value:
        raise ValueError(f"the value of {name} holds the delimiter")
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def write_summary(environ: Mapping[str, str], text: str) -> None:
    """Append Markdown to the file that GITHUB_STEP_SUMMARY names; it never outgrows the limit."""
    path = environ.get("GITHUB_STEP_SUMMARY", "")
    there = Path(path).stat().st_size if path and Path(path).exists() else 0
    _append(path, fitted(text, MAX_SUMMARY - there))


def fitted(text: str, room: int) -> bytes:
    """Return the text in UTF-8, cut at a line's end and with a closing remark where it must be."""
    data = text.encode("utf-8", "replace")
    if len(data) <= room:
        return data
    remark = CUT.encode()
    whole_lines = data[: max(0, room - len(remark))].rpartition(b"\n")[0]
    return (whole_lines + remark)[: max(0, room)] if room >= len(remark) else b""


def annotation_lines(annotations: Iterable[Annotation]) -> str:
    """Write remarks as workflow commands, of each level no more than the runner keeps."""
    lines: dict[str, list[str]] = {command: [] for command in _COMMANDS.values()}
    for item in annotations:
        command = _COMMANDS[item.level]
        if len(lines[command]) < MAX_ANNOTATIONS:
            place = {"file": item.path, "line": str(item.line), "title": item.title}
            lines[command].append(_command(command, item.message[:MAX_MESSAGE], place))
    return "".join(line for kind in lines.values() for line in kind)


def error_line(error: TorchproofError) -> str:
    """Write an error of ours as the annotation that the job's page shows, without a newline."""
    return _command("error", str(error)[:MAX_MESSAGE], {"title": "torchproof"}).rstrip()


def mask_lines(secret: str) -> str:
    """Write the commands that keep a secret out of the log; the runner masks line by line."""
    return "".join(_command("add-mask", line) for line in secret.splitlines() if line.strip())


def _command(name: str, message: str, properties: Mapping[str, str] | None = None) -> str:
    given = [f"{key}={_property(text)}" for key, text in (properties or {}).items() if text]
    return f"::{name}{' ' if given else ''}{','.join(given)}::{_data(message)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _append(path: str, data: bytes) -> None:
    """Append to a file of the runner's; outside a workflow there is none."""
    if not path or not data:
        return
    try:
        with Path(path).open("ab") as file:
            file.write(data)
    except OSError as error:
        what = f"the runner's file cannot be written: {error.strerror}"
        raise HostError(what, "Run torchproof in a GitHub workflow.", where=path) from error
