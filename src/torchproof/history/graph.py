"""Which commit descends from which: commit graphs without trees or files, as deep as needed.

Asking with ``--filter=tree:0`` moves some 300 bytes a commit. The graph starts shallow, since most
merge-bases are near, and is deepened fourfold at a time; a merge-base search that finds nothing
says the same for a graph that is cut off and for histories that have nothing in common, so whoever
asks must look at `Graph.complete`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torchproof.history import plumbing
from torchproof.history.failure import GitError
from torchproof.history.git import address


if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchproof.history.git import Repository
    from torchproof.history.patience import Retry

FIRST_DEPTH = 64
FACTOR = 4
# What git takes for "all of it"; `git fetch --unshallow` sends the same number.
WHOLE = 0x7FFFFFFF


class Commit(NamedTuple):
    """A commit and the second at which it was committed."""

    id: str
    time: int


class Graph:
    """The ancestors of some commits.

    Args:
        repository: A bare repository for nothing else, whose ``origin`` is asked first.
        also: Further addresses to look commits up in, such as the user's checkout.
        retry: Asks ``origin`` again where it does not answer.
    """

    def __init__(self, repository: Repository, also: Sequence[str], retry: Retry) -> None:
        self.depth = FIRST_DEPTH
        self._repository = repository
        self._retry = retry
        self._sources = ("origin", *map(address, also))
        self._wants: list[tuple[str, str]] = []

    @property
    def complete(self) -> bool:
        """True when no known commit has parents that were left out."""
        answer = self._repository.git("rev-parse", "--is-shallow-repository")
        return answer.strip() == b"false"

    def add(self, want: str) -> str | None:
        """Take in a commit, by its full id or a ref, and its nearest ancestors.

        Returns:
            The commit's id; None if no source knows it.

        Raises:
            GitError: The remote does not answer.
        """
        ref = f"refs/torchproof/graph/{len(self._wants)}"
        for source in self._sources:
            if self._knows(source, f"+{want}:{ref}"):
                self._wants.append((source, f"+{want}:{ref}"))
                return plumbing.resolve(self._repository, ref)
        return None

    def deepen(self) -> bool:
        """Fetch further ancestors; False if there are none to be had."""
        before = self._cuts()
        self.depth = min(self.depth * FACTOR, WHOLE)
        for source, refspec in self._wants:
            self._knows(source, refspec)
        return self._cuts() != before

    def newest_cut(self) -> int:
        """Return the time of the newest commit whose parents were left out; 0 if there is none."""
        cuts = self._cuts()
        if not cuts:
            return 0
        output = self._repository.git("rev-list", "--no-walk", "--timestamp", "--stdin", stdin=cuts)
        return max(commit.time for commit in _commits(output))

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the best common ancestor that is known so far.

        Where histories cross there are several equally good ones; the first in the order of their
        ids is taken, so that everybody takes the same.
        """
        try:
            output = self._repository.git("merge-base", "--all", "--end-of-options", one, other)
        except GitError as error:
            if error.code != 1:
                raise
            return None
        return min(output.decode().split())

    def ancestors(self, commit: str) -> list[Commit]:
        """Return a commit and its known ancestors: the first parents, then those merged in."""
        return list(dict.fromkeys(self.first_parents(commit) + self._list(commit)))

    def first_parents(self, commit: str) -> list[Commit]:
        """Return a commit and its known first parents, newest first: the line of a branch."""
        return self._list("--first-parent", commit)

    def subject(self, commit: str) -> str:
        """Return the first line of a known commit's message; somebody else's text."""
        text = self._repository.git("log", "-1", "--format=%s", "--end-of-options", commit)
        return text.decode("utf-8", "replace").strip()

    def distance(self, ancestor: str, commit: str) -> int:
        """Count the commits from one to the other along first parents."""
        arguments = ("--count", "--first-parent", "--end-of-options", commit, f"^{ancestor}")
        return int(self._repository.git("rev-list", *arguments))

    def _list(self, *arguments: str) -> list[Commit]:
        return _commits(self._repository.git("rev-list", "--timestamp", *arguments))

    def _knows(self, source: str, refspec: str) -> bool:
        """Fetch from a source; False if it has no such commit."""
        arguments = (f"--depth={self.depth}", "--filter=tree:0", refspec)
        return plumbing.fetch_if_there(
            self._repository, *arguments, source=source, retry=self._retry
        )

    def _cuts(self) -> bytes:
        path = self._repository.directory / "shallow"
        return path.read_bytes() if path.exists() else b""


def _commits(output: bytes) -> list[Commit]:
    pairs = (line.split() for line in output.decode().splitlines())
    return [Commit(commit, int(time)) for time, commit in pairs]
