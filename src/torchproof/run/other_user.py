"""A user id that nobody has, and the end of every process that runs with it.

A process cannot leave its user id without privileges, whatever session or parent it has. So the
user id finds what a test left running, and ``kill(-1)`` as that user ends all of it in one system
call that no fork escapes (kill(2)).
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import pwd
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torchproof.run.scratch import SEALED_USER, Owner


if TYPE_CHECKING:
    from collections.abc import Iterator

_RANGE = 40_000
_PATIENCE = 2.0
_PAUSE = 0.005
_KILL_ALL = ("/bin/sh", "-c", "kill -KILL -1")

_SET_CHILD_SUBREAPER = 36  # prctl(2)
_prctl = ctypes.CDLL(None, use_errno=True).prctl
_turns = itertools.count()


class _Process(NamedTuple):
    pid: int
    parent: int
    dead: bool


def unused_owner(*, apart_from: Owner) -> Owner:
    """Find a user id without account and without process; processes of ours take different ones."""
    start = os.getpid() + next(_turns)
    for turn in range(_RANGE):
        uid = SEALED_USER + (start + turn) % _RANGE
        if uid != apart_from.uid and not _has_account(uid) and not _processes(uid):
            return Owner(uid=uid, gid=uid)
    raise RuntimeError("every user id has a process")


def end_all(owner: Owner) -> None:
    """Kill every process of that user, and wait until they are dead."""
    due = time.monotonic() + _PATIENCE
    while any(not process.dead for process in _processes(owner.uid)) and time.monotonic() < due:
        subprocess.run(
            _KILL_ALL,
            user=owner.uid,
            group=owner.gid,
            extra_groups=[],
            cwd="/",
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        time.sleep(_PAUSE)


@contextlib.contextmanager
def orphans_come_to_us(owner: Owner) -> Iterator[None]:
    """Be the parent of that user's orphans meanwhile, and bury the dead in the end."""
    _prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        for process in _processes(owner.uid):
            if process.parent == os.getpid():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
        _prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _processes(uid: int) -> list[_Process]:
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        # A process may end between two looks at it.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if directory.stat().st_uid == uid:
                state, parent = (
                    (directory / "stat").read_text("utf-8").rpartition(")")[2].split()[:2]
                )
                found.append(_Process(int(directory.name), int(parent), state in "ZX"))
    return found


def _has_account(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
