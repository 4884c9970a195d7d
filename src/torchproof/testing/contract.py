"""What `proof.architecture` does: a model held against the lock that is committed for it.

The lock of the test ``tests/test_model.py`` for the name ``encoder`` is
``tests/locks/encoder.arch.json``; ``--torchproof-update`` writes it. A lock that is named (a path
relative to the rootdir, or an https address) belongs to somebody else and is never written.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from torchproof.contracts.compare import IDENTICAL, TRAIN_ONLY, Comparison
from torchproof.contracts.shell import save
from torchproof.contracts.source import read_lock
from torchproof.errors import UsageError


if TYPE_CHECKING:
    from torchproof.contracts.lock import Architecture
    from torchproof.proofs.finding import Finding

RULE = "architecture-changed"
FOLDER = "locks"
ENDING = ".arch.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_REMEDY = (
    "If it is meant: pytest --torchproof-update, commit the lock, and tell who loads the weights."
)
_PINNED = "Build the model as its producer does, or move to the producer's new lock and weights."


class Held(NamedTuple):
    """What a model is next to its lock; ``finding`` is None where there is nothing to say."""

    architecture: Architecture
    comparison: Comparison
    finding: Optional[Finding]

    @property
    def fingerprint(self) -> str:
        """The architecture's digest and the verdict."""
        return f"{self.architecture.digest} {self.comparison.verdict}"


def hold(
    now: Architecture,
    *,
    name: str,
    lock: Union[str, Path, None],
    test: Path,
    root: Path,
    update: bool,
    waive: str = "",
) -> Held:
    """Compare an architecture with its lock, or write it.

    Args:
        now: What the model is.
        name: What it is called; the lock's name where none is given.
        lock: Where the lock is; None for the test's own.
        test: The file of the test.
        root: What a relative ``lock`` is relative to.
        update: Write the test's own lock where it says something else.
        waive: Why the team accepts a difference; it is a warning or an error no more.

    Raises:
        UsageError: There is no lock, or it cannot be used.
    """
    if not _NAME.fullmatch(name):
        what = f"the architecture's name is {name!r:.60}"
        raise UsageError(what, "Give letters, digits, dots and dashes: it is a file's name.")
    own = test.parent / FOLDER / f"{name}{ENDING}"
    if lock is None and not own.exists():
        if not update:
            what = f"the architecture {name} has no lock"
            remedy = "Make it with pytest --torchproof-update, and commit it."
            raise UsageError(what, remedy, where=_relative(own, root))
        save(now, own)
        return Held(now, Comparison(IDENTICAL, ("the lock was written",)), None)
    place = own if lock is None else _place(lock, root)
    before = read_lock(place)
    found = before.compare(now)
    if found.verdict == IDENTICAL:
        # Rounding moves the digest of what is computed here; the lock's stays.
        return Held(before, found, None)
    if lock is None and update:
        save(now, own)
        return Held(now, Comparison(IDENTICAL, ("the lock was written",)), None)
    remedy = _REMEDY if lock is None else _PINNED
    return Held(now, found, _finding(name, found, _relative(place, root), remedy, waive))


def failure(finding: Finding) -> str:
    """Write what a test fails with: the verdict in the first line, then what differs."""
    others = [f"  {word}" for word in finding.evidence.get("differs", ())]
    return "\n".join(
        [
            f"torchproof: {finding.message}",
            *others,
            f"  lock:   {finding.evidence['lock']}",
            f"  remedy: {finding.remedy}",
        ]
    )


def _finding(name: str, found: Comparison, lock: str, remedy: str, waive: str) -> Finding:
    from torchproof.proofs.finding import Finding

    severity = "error" if found.breaks else "warning" if found.verdict == TRAIN_ONLY else "info"
    return Finding(
        rule=RULE,
        severity=severity,
        message=f"{name}: {found.verdict}: {found.words[0]}",
        evidence={"lock": lock, **({"differs": list(found.words[1:])} if found.words[1:] else {})},
        remedy=remedy,
        waived=waive,
    )


def _place(lock: Union[str, Path], root: Path) -> Union[str, Path]:
    return lock if "://" in str(lock) else root / lock


def _relative(place: Union[str, Path], root: Path) -> str:
    if isinstance(place, Path) and root in place.parents:
        return place.relative_to(root).as_posix()
    return str(place)
