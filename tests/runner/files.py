"""What the runner reads from the file commands of a step, and what it refuses.

After actions/runner (FileCommandManager.cs): ``name=value`` lines, or ``name<<DELIMITER`` with the
value on the lines up to the delimiter; a step summary above 1 MiB is refused whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterator

SUMMARY_LIMIT = 1024 * 1024


class FileCommandError(Exception):
    """The runner fails the step over a file command."""


def read_pairs(text: str) -> dict[str, str]:
    """Read GITHUB_OUTPUT, GITHUB_STATE or GITHUB_ENV as the runner does.

    Raises:
        FileCommandError: With the runner's own words.
    """
    pairs = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if line:
            key, value = _pair(line, lines)
            pairs[key] = value
    return pairs


def read_summary(data: bytes) -> str:
    """Read GITHUB_STEP_SUMMARY.

    Raises:
        FileCommandError: It is larger than the runner uploads.
    """
    if len(data) > SUMMARY_LIMIT:
        limit = SUMMARY_LIMIT // 1024
        raise FileCommandError(
            f"$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of {limit}k, "
            f"got {len(data) // 1024}k"
        )
    return data.decode("utf-8")


def _pair(line: str, rest: Iterator[str]) -> tuple[str, str]:
    equals, heredoc = line.find("="), line.find("<<")
    if equals >= 0 and (heredoc < 0 or equals < heredoc):
        key, _, value = line.partition("=")
    elif heredoc >= 0:
        key, _, delimiter = line.partition("<<")
        value = _heredoc(delimiter, rest)
    else:
        raise FileCommandError(f"Invalid format '{line}'")
    if not key:
        raise FileCommandError(f"Invalid format '{line}'. Name must not be empty")
    return key, value


def _heredoc(delimiter: str, rest: Iterator[str]) -> str:
    lines: list[str] = []
    for line in rest:
        if line == delimiter:
            return "\n".join(lines)
        lines.append(line)
    raise FileCommandError(f"Invalid value. Matching delimiter not found '{delimiter}'")
