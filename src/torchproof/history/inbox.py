"""Refs of their own for records that the history branch did not take, one ref per run.

An inbox is a commit laid out like the branch. Its records count as stored from the moment it is
there; whoever next gets through to the branch moves them over and deletes the ref.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.history import meta, names
from torchproof.history.failure import GitError


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torchproof.history.git import Repository
    from torchproof.history.names import Name
    from torchproof.history.snapshot import Snapshot, Tree


def waiting(snapshot: Snapshot) -> dict[str, Tree]:
    """Return the inboxes that hold records and nothing else; only these may be emptied."""
    return {
        ref: tree
        for ref, tree in snapshot.inboxes.items()
        if all(path == meta.PATH or names.parse(path) for path in tree.files)
    }


def records(snapshot: Snapshot, inboxes: Mapping[str, Tree]) -> Sequence[tuple[Name, bytes]]:
    """Read the records in inboxes."""
    files = [item for tree in inboxes.values() for item in tree.files.items()]
    named = [(name, blob) for path, blob in files if (name := names.parse(path))]
    contents = snapshot.contents([blob for _, blob in named])
    return [(name, contents[blob]) for name, blob in named]


def drop(repository: Repository, inboxes: Mapping[str, Tree]) -> None:
    """Delete inboxes whose records are on the branch, unless more came in meanwhile."""
    leases = [f"--force-with-lease={ref}:{tree.commit}" for ref, tree in inboxes.items()]
    deletions = [f":{ref}" for ref in inboxes]
    try:
        if inboxes:
            repository.git("push", "--quiet", *leases, "origin", *deletions)
    except GitError:
        # A record that lies in both places counts once, and the next writer tries again.
        return
