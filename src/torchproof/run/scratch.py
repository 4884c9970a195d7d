"""The directory that a seal lays out for its commands and removes in the end.

``plugin`` holds our test side and belongs to us; ``results``, ``home``, ``tmp`` and ``cache``
belong to the user that runs the tests. The code under test fills these, so nothing in them is
followed or trusted.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEALED_USER = 10_001
"""Runs the tests where the workspace's owner must not: no passwd entry, no files anywhere."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A user and group id."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Scratch:
    """The directories of one seal."""

    root: Path

    @property
    def plugin(self) -> Path:
        """Our test side, read only for the tests."""
        return self.root / "plugin"

    @property
    def results(self) -> Path:
        """Where the tests leave their events."""
        return self.root / "results"

    @property
    def home(self) -> Path:
        """HOME of the tests."""
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        """TMPDIR of the tests."""
        return self.root / "tmp"

    @property
    def cache(self) -> Path:
        """The cache, where no volume holds it."""
        return self.root / "cache"

    @property
    def workspace(self) -> Path:
        """The copy of the workspace, where there is one."""
        return self.root / "workspace"

    @property
    def git(self) -> Path:
        """Clean copies of git directories, where they cover the originals."""
        return self.root / "git"


def scratch_of(parent: Path, run_id: str) -> Scratch:
    """Say where a run's directories are, whether or not they are laid out."""
    return Scratch(parent / f"torchproof-{run_id}")


def owner_of(path: Path) -> Owner:
    """Say whose a path is."""
    found = path.stat()
    return Owner(uid=found.st_uid, gid=found.st_gid)


def lay_out(
    parent: Path, run_id: str, *, owner: Owner, lay_plugin: Callable[[Path], None] | None = None
) -> Scratch:
    """Make the directories for the tests to run as ``owner``; others may pass through, not look."""
    scratch = scratch_of(parent, run_id)
    scratch.root.mkdir()
    scratch.root.chmod(0o711)
    scratch.plugin.mkdir()
    scratch.plugin.chmod(0o755)
    if lay_plugin:
        lay_plugin(scratch.plugin)
    for path in (scratch.results, scratch.home, scratch.tmp, scratch.cache):
        path.mkdir()
        give(path, owner)
    return scratch


def give(tree: Path, owner: Owner) -> None:
    """Make everything in a tree belong to somebody; links are not followed."""
    if os.geteuid() != 0:
        return
    for path in (tree, *_below(tree)):
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)


def keep_plain_files(tree: Path) -> None:
    """Remove what is neither a file nor a directory, so that a reader cannot be led away or hang.

    A link could lead to a file that only we may read, and opening a pipe never returns.
    """
    for path in list(_below(tree)):
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            path.unlink()


def remove(scratch: Scratch, *, heir: Owner) -> None:
    """Remove the directories, even where the tests have closed some; twice is no error.

    What resists belongs to ``heir`` afterwards, so that the next checkout can clean it away.
    """
    shutil.rmtree(scratch.root, ignore_errors=True)
    if scratch.root.exists():
        _open_directories(scratch.root)
        shutil.rmtree(scratch.root, ignore_errors=True)
    if scratch.root.exists():
        give(scratch.root, heir)


def _open_directories(tree: Path) -> None:
    # A link among them is not followed: it may name a directory that is not ours to change.
    for here, directories, _ in os.walk(tree):
        for path in (Path(here, name) for name in directories):
            if not path.is_symlink():
                path.chmod(0o700)


def _below(tree: Path) -> Iterator[Path]:
    for here, directories, files in os.walk(tree):
        yield from (Path(here, name) for name in (*directories, *files))
