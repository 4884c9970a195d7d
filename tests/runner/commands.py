"""Which lines of a step's output the runner obeys.

After actions/runner (ActionCommand.cs, ActionCommandManager.cs): ``::name key=value::data`` counts
at the start of a line after any white space, the older ``##[name key=value;]data`` anywhere in it,
both without regard to case. Between ``::stop-commands::TOKEN`` and ``::TOKEN::`` nothing counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KNOWN = frozenset({
    "add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice",
    "remove-matcher", "save-state", "set-env", "set-output", "warning",
})  # fmt: skip
STOP = "stop-commands"

_NEW_LINE = re.compile(r"\r\n|\r|\n")
_ESCAPES = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%3B": ";", "%5D": "]", "%25": "%"}


@dataclass(frozen=True)
class Command:
    """One command that the runner would carry out."""

    name: str
    data: str
    properties: Mapping[str, str] = field(default_factory=dict)


def obeyed(output: str) -> Iterator[Command]:
    """Yield the commands in a step's output that the runner obeys, stop-commands among them."""
    token = None
    for line in _NEW_LINE.split(output):
        command = _parse(line, KNOWN | {STOP} | ({token} if token else set()))
        if command is None:
            continue
        if token is None:
            token = command.data.lower() if command.name == STOP else None
            yield command
        elif command.name == token:
            token = None


def _parse(line: str, names: frozenset[str]) -> Command | None:
    return _parse_new(line, names) or _parse_old(line, names)


def _parse_new(line: str, names: frozenset[str]) -> Command | None:
    line = line.lstrip()
    if not line.startswith("::") or "::" not in line[2:]:
        return None
    info, _, data = line[2:].partition("::")
    return _command(info, data, ",", names)


def _parse_old(line: str, names: frozenset[str]) -> Command | None:
    _, found, rest = line.partition("##[")
    info, closed, data = rest.partition("]")
    return _command(info, data, ";", names) if found and closed else None


def _command(info: str, data: str, separator: str, names: frozenset[str]) -> Command | None:
    name, _, listed = info.partition(" ")
    if name.lower() not in names:
        return None
    pairs = [item.partition("=") for item in listed.strip().split(separator) if "=" in item]
    properties = {key: _unescape(value) for key, _, value in pairs}
    return Command(name.lower(), _unescape(data), properties)


def _unescape(text: str) -> str:
    for escaped, plain in _ESCAPES.items():
        text = text.replace(escaped, plain)
    return text
