"""The data versions that DVC has locked, as facts of a session, and where the workspace differs.

A version is a fact whether or not the data is here. What is here is compared by hash as long as
there is little enough to read, and by size from then on.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, Optional

from torchproof.data import dvc
from torchproof.errors import UsageError


if TYPE_CHECKING:
    from pathlib import Path

MAX_HASHED = 512 * 1024 * 1024  # bytes a session reads: about a second
MAX_TRACKED = 300
RULE = "data-differs-from-lock"


def write(emit: Callable[..., None], root: Path) -> None:
    """Write the facts and findings about what DVC tracks under a root."""
    found, complete = dvc.locks(root)
    if not complete:
        emit("note", message="not every directory was searched for DVC's locks")
    room = MAX_HASHED
    for each in _tracked(emit, found, root)[:MAX_TRACKED]:
        value, room = _version(each, root, room)
        if not each.made:
            emit("fingerprint", kind="data", name=each.path, value=value or each.md5)
        if value and value != each.md5:
            emit("finding", test=each.place.rpartition(":")[0], **_difference(each, value))
    with suppress(OSError):
        if dvc.stages_without_lock(root):
            emit("finding", test="dvc.yaml", **_no_lock())


def _tracked(emit: Callable[..., None], locks: list[Path], root: Path) -> list[dvc.Tracked]:
    """Return what is tracked, each path once; a lock that cannot be read is told."""
    found = [each for lock in locks for each in _read(emit, lock, root)]
    entries = {each.path: each for each in found}
    return [each for path, each in sorted(entries.items()) if not path.startswith("../")]


def _read(emit: Callable[..., None], lock: Path, root: Path) -> list[dvc.Tracked]:
    try:
        return dvc.tracked(lock, root)
    except UsageError as error:
        emit("note", message=f"data version not known: {error}")
        return []


def _version(each: dvc.Tracked, root: Path, room: int) -> tuple[Optional[str], int]:
    """Return what is in the workspace, None if that is not known, and how much may yet be read."""
    path = root / each.path
    try:
        if not path.exists() or (path.is_dir() and dvc.ignores(root)):
            return None, room
        size = dvc.size(path)
        if size > room:
            same = each.old or each.size in (None, size)
            return None if same else f"{size} bytes", room
        return dvc.md5(path, old=each.old), room - size
    except (OSError, UsageError):
        return None, room


def _difference(each: dvc.Tracked, value: str) -> dict[str, Any]:
    lock = each.place.rpartition(":")[0]
    accept = "dvc commit" if each.made or lock == dvc.LOCK else f"dvc add {each.path}"
    return {
        "rule": RULE,
        "severity": "warning",
        "message": f"{each.path} is not the version that {lock} names",
        "evidence": {"locked": each.md5, "workspace": value},
        "location": each.place,
        "remedy": f"dvc checkout {each.path} brings the locked version back, {accept} locks this.",
    }


def _no_lock() -> dict[str, Any]:
    return {
        "rule": RULE,
        "severity": "warning",
        "message": "dvc.yaml declares stages and there is no dvc.lock",
        "evidence": {},
        "location": "dvc.yaml:1",
        "remedy": "Run dvc repro and commit dvc.lock, so that results name their data.",
    }
