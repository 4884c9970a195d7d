"""Locks that processes of one host share and that the kernel releases when a holder dies.

A lock is a `flock` on a file that stays. A queue is made of tickets, files that are locked by those
who wait: a ticket that somebody else can lock belongs to the dead. The files are for their owner
alone, or the code under test could lock them too.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def lock(path: Path) -> int | None:
    """Lock a file without waiting; return its descriptor, or None when somebody holds it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def ticket(locks: Path) -> Iterator[Callable[[], int]]:
    """Queue up; yields a function that counts those who came earlier and still wait."""
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.ticket"
    # It gets its name when it is locked, or others would take it for a dead one's.
    descriptor = lock(locks / f"{name}.new")
    (locks / f"{name}.new").rename(locks / name)
    try:
        yield lambda: sum(_lives(ticket) for ticket in locks.glob("*.ticket") if ticket.name < name)
    finally:
        (locks / name).unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)


def _lives(ticket: Path) -> bool:
    try:
        descriptor = os.open(ticket, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        ticket.unlink(missing_ok=True)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
