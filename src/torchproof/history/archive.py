"""A day's records as lines of one file: ``archive/YYYY/MM/DD.jsonl``, then ``DD.1.jsonl`` and on.

Each line is ``{"name":"runs/…","record":{…}}`` with the record's bytes unchanged, so that a name
can be read off a line without parsing the record, and a record comes out as it went in.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_BYTES = 900_000

_PATH = re.compile(r"archive/(\d{4})/(\d\d)/(\d\d)(?:\.(\d+))?\.jsonl")
_LINE = re.compile(rb'\{"name":"([^"\\]+)","record":(\{.*\})\}')


def day_of(path: str) -> date | None:
    """Return the day that a path is an archive of, None if it is no archive."""
    match = _PATH.fullmatch(path)
    try:
        return date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        return None


def pack(
    day: date, records: Mapping[str, bytes], *, first: int = 0, limit: int = MAX_BYTES
) -> dict[str, bytes]:
    """Write a day's records, path → canonical bytes, as files of at most ``limit`` bytes.

    A record that is larger than the limit gets a file of its own. ``first`` is the number of the
    first file, see `next_part`.
    """
    parts: list[list[bytes]] = [[]]
    size = 0
    for name in sorted(records):
        line = b'{"name":"%b","record":%b}\n' % (name.encode("ascii"), records[name].rstrip(b"\n"))
        if parts[-1] and size + len(line) > limit:
            parts.append([])
            size = 0
        parts[-1].append(line)
        size += len(line)
    return {_path(day, index): b"".join(lines) for index, lines in enumerate(parts, start=first)}


def next_part(day: date, paths: Iterable[str]) -> int:
    """Return the number of the file that would be the day's next one."""
    matches = [_PATH.fullmatch(path) for path in paths if day_of(path) == day]
    return max((int(match[4] or 0) for match in matches if match), default=-1) + 1


def unpack(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each line's path and record bytes; a line that is no such thing has an empty path."""
    for line in data.splitlines():
        match = _LINE.fullmatch(line)
        yield (match[1].decode("ascii", "replace"), match[2] + b"\n") if match else ("", line)


def _path(day: date, index: int) -> str:
    return f"archive/{day:%Y/%m/%d}{f'.{index}' if index else ''}.jsonl"
