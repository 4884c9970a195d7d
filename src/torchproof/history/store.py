"""The history: run records on a branch of their own, written by compare-and-swap.

A writer fetches the branch's tip, puts its records into one commit on top and pushes. The server
takes the push only if the tip is still that one; every other writer fetches and tries again after a
random wait. Nothing is ever forced, and git moves a ref or does not, so a writer that dies leaves
no half record. Where the branch itself refuses (a ruleset, a hook, or too many writers for too
long), the records wait in an inbox, see `torchproof.history.inbox`.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from torchproof.errors import HistoryError
from torchproof.history import inbox, meta, names, plumbing
from torchproof.history.failure import GitError
from torchproof.history.git import Repository
from torchproof.history.patience import Patience
from torchproof.history.snapshot import Damaged, Snapshot, Tree
from torchproof.record import dumps


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import date

    from torchproof.history.names import Name
    from torchproof.record import Metric, Record, Source

    Edits = Mapping[str, bytes | None]
    Named = Sequence[tuple[Name, bytes]]

T = TypeVar("T")

BRANCH = "torchproof-history"
PATIENCE = 600.0
SHORT_PATIENCE = 60.0

_TIP = "refs/torchproof/tip"


@dataclass(frozen=True, kw_only=True)
class Appended:
    """Where records went.

    Attributes:
        commit: The commit that has them; None if there was nothing to store and no history.
        pushes: How many pushes were tried; 0 if all records were there already.
        inbox: The ref they wait on if the branch did not take them, else None.
        why: What kept them from the branch, as a sentence without a full stop.
    """

    commit: str | None
    pushes: int
    inbox: str | None = None
    why: str = ""


class History:
    """Every run record of a repository; a context manager, as it owns a temporary directory.

    Args:
        remote: The repository: any address git understands, or a path.
        branch: The branch that holds the records.
        token: Needs ``contents: write`` to append and ``contents: read`` to read.
        directory: Where the temporary directory is made; the system's by default.
        patience: Seconds to go on trying to append; reading, and the inbox, take a minute at most.
        clock: Seconds since the epoch.
        sleep: Waits for so many seconds.
        uniform: A random number between two.
        environ: What git may learn of this process's environment.

    Attributes:
        damaged: Stored files that could not be read and were left out, as far as met so far.
        pushes: How many pushes this history has tried.
    """

    def __init__(
        self,
        remote: str,
        *,
        branch: str = BRANCH,
        token: str | None = None,
        directory: Path | None = None,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.branch = branch
        self.damaged: list[Damaged] = []
        self.pushes = 0
        self._ref = f"refs/heads/{branch}"
        self._remote, self._token, self._environ = remote, token, environ
        self._directory = directory
        self._seconds = patience
        self._clock = clock
        self._patience = Patience(clock=clock, sleep=sleep, uniform=uniform)
        self._snapshot: Snapshot | None = None

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory(prefix="torchproof-", dir=self._directory)
        try:
            self._repository = self.open_repository("history")
            self._check_branch_name()
        except BaseException:
            self._temporary.cleanup()
            raise
        self._blobs = plumbing.Blobs(self._repository, self.retry)
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    def open_repository(self, name: str, directory: Path | None = None) -> Repository:
        """Make another bare repository with the same remote, beside the history's or elsewhere."""
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._temporary.name)) / "git"
        return Repository(directory, self._remote, token=self._token, environ=self._environ)

    def retry(self, action: Callable[[], T]) -> T:
        """Do something that asks the remote, again if need be, for a minute at most."""
        return self._patience.retry(action, seconds=min(self._seconds, SHORT_PATIENCE))

    def fetch(self) -> Snapshot:
        """Look at the remote again.

        A remote without the branch is an empty history. One that does not answer, or a branch that
        holds something else, is an error.

        Raises:
            HistoryError: The history cannot be read.
        """
        return self.retry(self._fetch)

    @property
    def snapshot(self) -> Snapshot:
        """The history as last fetched; fetched now if it never was or this history changed it."""
        return self._snapshot or self.fetch()

    def records(
        self, commits: Collection[str] | None = None, *, since: date | None = None
    ) -> list[Record]:
        """Return records, oldest first; see `Snapshot.records`."""
        return self.snapshot.records(commits, since=since)

    def runs_of(self, commit: str, *, since: date | None = None) -> list[Record]:
        """Return the records of one tested commit, oldest first."""
        return self.snapshot.records({commit}, since=since)

    def last(
        self, metric: str, n: int, *, branch: str | None = None
    ) -> list[tuple[Source, Metric]]:
        """Return the last ``n`` values of a metric on the main line; see `Snapshot.last`."""
        return self.snapshot.last(metric, n, branch=branch)

    def append(self, records: Sequence[Record]) -> Appended:
        """Store records in one commit, each once however often it is appended.

        Raises:
            HistoryError: Neither the branch nor an inbox took them, or the history is damaged.
        """
        now = datetime.fromtimestamp(self._clock(), UTC)
        named = [(names.name_of(record, now=now), dumps(record)) for record in records]
        before = self.pushes
        try:
            return self.publish(lambda snapshot: _missing(named, snapshot.branch), _message(named))
        except GitError as error:
            if error.verb != "push" or not named:
                raise
            ref, commit = self._append_to_inbox(named)
            pushes = self.pushes - before
            return Appended(commit=commit, pushes=pushes, inbox=ref, why=error.what)

    def publish(self, change: Callable[[Snapshot], Edits], message: str) -> Appended:
        """Put a change on top of the branch, and what waits in inboxes with it.

        Args:
            change: Says, for the history as it is at each try, what to write (path → contents) and
                what to delete (path → None); where it says nothing, nothing is pushed.
            message: The commit message.
        """
        before = self.pushes
        commit = self._patience.retry(lambda: self._try(change, message), seconds=self._seconds)
        return Appended(commit=commit, pushes=self.pushes - before)

    def _try(self, change: Callable[[Snapshot], Edits], message: str) -> str | None:
        snapshot = self._fetch()
        inboxes = inbox.waiting(snapshot)
        taken = _missing(inbox.records(snapshot, inboxes), snapshot.branch)
        edits = {**taken, **change(snapshot.after(taken))}
        commit = snapshot.branch.commit
        if edits:
            commit = self._push(self._ref, commit, edits, message)
        inbox.drop(self._repository, inboxes)
        return commit

    def _append_to_inbox(self, named: Named) -> tuple[str, str | None]:
        ref = names.inbox_ref(named[0][0])

        def attempt() -> str | None:
            tree = self._fetch().inboxes.get(ref, Tree())
            edits = _missing(named, tree)
            return self._push(ref, tree.commit, edits, _message(named)) if edits else tree.commit

        return ref, self.retry(attempt)

    def _push(self, ref: str, parent: str | None, edits: Edits, message: str) -> str:
        edits = edits if parent else {meta.PATH: meta.CONTENTS, **edits}
        commit = plumbing.write_commit(
            self._repository, edits, parent=parent, message=message, time=self._clock()
        )
        self.pushes += 1
        self._snapshot = None
        self._repository.git("push", "--quiet", "origin", f"{commit}:{ref}")
        return commit

    def _fetch(self) -> Snapshot:
        refs = plumbing.list_refs(self._repository, self._ref, f"{names.INBOX}*")
        inboxes = [ref for ref in refs.commits if ref.startswith(names.INBOX)]
        branch = self._ref in refs.commits
        refspecs = [f"+{self._ref}:{_TIP}"] * branch
        # By pattern, as another writer may delete one of them before they are fetched.
        refspecs += [f"+{names.INBOX}*:{names.INBOX}*"] * bool(inboxes)
        if refspecs:
            options = ("--depth=1", "--filter=blob:none", "--prune")
            plumbing.fetch(self._repository, *options, *refspecs)
        tip = self._tree(_TIP) if branch else Tree()
        self._check_schema(tip)
        trees = {ref: self._tree(ref) for ref in inboxes}
        self._snapshot = Snapshot(tip, trees, refs.head, self._blobs, self._report)
        return self._snapshot

    def _tree(self, ref: str) -> Tree:
        commit = plumbing.resolve(self._repository, ref)
        return Tree(commit, plumbing.list_files(self._repository, commit))

    def _check_branch_name(self) -> None:
        try:
            self._repository.git("check-ref-format", self._ref)
        except GitError as error:
            what = f"{self.branch!r} is no name for a branch"
            raise HistoryError(what, "Name another branch for the history.") from error

    def _check_schema(self, tip: Tree) -> None:
        if tip.commit is None or tip.files.get(meta.PATH) == plumbing.blob_id(meta.CONTENTS):
            return
        blob = tip.files.get(meta.PATH)
        if blob is None:
            what = f"the branch {self.branch} is not a history: it has no {meta.PATH}"
            raise HistoryError(what, "Name another branch for the history.")
        meta.check(self._blobs.read([blob])[blob], branch=self.branch)

    def _report(self, damaged: Damaged) -> None:
        if damaged not in self.damaged:
            self.damaged.append(damaged)


def _missing(named: Named, tree: Tree) -> dict[str, bytes]:
    """Return what a tree lacks of some records: path → contents."""
    files = dict(tree.files)
    edits = {}
    for name, data in named:
        blob = plumbing.blob_id(data)
        path = names.free_path(name, blob, files)
        if path:
            files[path] = blob
            edits[path] = data
    return edits


def _message(named: Named) -> str:
    runs = dict.fromkeys(f"{name.run_id} attempt {name.attempt}" for name, _ in named)
    tiers = dict.fromkeys(name.tier for name, _ in named)
    return f"Record run {', '.join(runs)}: {', '.join(tiers)}"
