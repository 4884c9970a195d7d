"""One line on the terminal that says how far a long training has come.

It goes to standard error, and only where that is a terminal: not under pytest's capture, not into a
log. When the block ends the line is gone.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable, Optional, TextIO


if TYPE_CHECKING:
    from collections.abc import Iterator

    Advance = Callable[[int, float], None]

_WIDTH = 24
_SECONDS = 0.1
_ERASE = "\r\033[K"


@contextmanager
def progress(
    total: int,
    *,
    stream: Optional[TextIO] = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Advance]:
    """Give a function that shows how many of ``total`` steps are done, and the last loss.

    Args:
        total: The most steps there will be.
        stream: Where to write; standard error.
        clock: Seconds; the line changes ten times a second at most.
    """
    out = sys.stderr if stream is None else stream
    if out is None or not out.isatty():
        yield lambda _, __: None
        return
    last = clock()

    def advance(done: int, loss: float) -> None:
        nonlocal last
        if clock() - last >= _SECONDS:
            last = clock()
            out.write(f"{_ERASE}{_line(done, total, loss)}")
            out.flush()

    try:
        yield advance
    finally:
        out.write(_ERASE)
        out.flush()


def _line(done: int, total: int, loss: float) -> str:
    full = _WIDTH * done // total
    return f"overfit [{'#' * full}{'.' * (_WIDTH - full)}] {done}/{total} loss {loss:.4g}"
