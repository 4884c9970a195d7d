"""Output of the code under test, made harmless for the log of a GitHub Actions runner.

The runner (actions/runner, ActionCommand.cs) reads its log line by line and obeys

- ``::command::`` at the start of a line, after any Unicode white space (``TryParseV2``), and
- ``##[command]`` anywhere in a line (``TryParse``).

Its lines end at CR, LF or CRLF, as .NET's ``ReadLine`` does, and its searches compare by culture,
where characters without weight (soft hyphen, joiners, most controls) count as absent. So every line
here gets a visible first character, and a blank stands behind every ``##`` that a bracket follows,
whatever is hidden in between.
"""

from __future__ import annotations

import re
import secrets


PREFIX = "| "
MAX_LINE = 8 * 1024
"""Bytes of a line that are shown; the rest is counted and left out."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
_ESCAPES = re.compile(
    r"(?P<colour>\x1b\[[0-9;:]*m)"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # other control sequences: cursor, erase
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # system commands: title, links
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]"
)
_OLD_COMMAND = re.compile(r"(#[^ -~]*#)(?=[^ -~]*\[)")


class Defuser:
    """Turns a byte stream, in chunks of any size, into log lines that the runner obeys nothing of.

    The result does not depend on how the stream was cut into chunks, and never more than one line
    is held in memory, however long it is.
    """

    def __init__(self, prefix: str = PREFIX) -> None:
        self._prefix = prefix
        self._line = b""
        self._left_out = 0
        self._after_cr = False

    def feed(self, data: bytes) -> bytes:
        """Take a chunk and return the lines that are complete with it."""
        if not data:
            return b""
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        *complete, rest = _LINE_END.split(data)
        lines = []
        for piece in complete:
            self._extend(piece)
            lines.append(self._end_line())
        self._extend(rest)
        return b"".join(lines)

    def close(self) -> bytes:
        """Return the last line, if the stream did not end with a line end."""
        return self._end_line() if self._line or self._left_out else b""

    def _extend(self, piece: bytes) -> None:
        room = MAX_LINE - len(self._line)
        self._line += piece[:room]
        self._left_out += max(0, len(piece) - room)

    def _end_line(self) -> bytes:
        text = defuse(self._line.decode("utf-8", "replace"))
        note = f" [{self._left_out} more bytes of this line left out]" if self._left_out else ""
        self._line, self._left_out = b"", 0
        return f"{self._prefix}{text}{note}".rstrip().encode() + b"\n"


def defuse(text: str) -> str:
    """Make the text of one line harmless; colours stay, every other control goes.

    Beyond a `Defuser` this is for test ids, messages and other names that are printed later; the
    caller puts a visible character in front.
    """
    clean = _ESCAPES.sub(lambda found: found["colour"] or "", text)
    harmless = _OLD_COMMAND.sub(r"\1 ", clean)
    return harmless + "\x1b[0m" if "\x1b" in harmless else harmless


def fence_token() -> str:
    """Make a token that the code under test cannot guess."""
    return secrets.token_hex(16)


def stop_commands(token: str) -> bytes:
    """Return the line after which the runner obeys nothing until `resume_commands`."""
    return f"::stop-commands::{token}\n".encode()


def resume_commands(token: str) -> bytes:
    """Return the line after which the runner obeys commands again."""
    return f"::{token}::\n".encode()
