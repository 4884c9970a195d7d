"""Old commits in a directory of their own, one after the other; the user's checkout is only read.

The directory is a git checkout without remote, token or hooks. Each commit comes alone, without its
history, from the first repository that has it. Submodules are not filled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.errors import HistoryError
from torchproof.history import plumbing
from torchproof.history.git import address


if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torchproof.history.store import History

_REF = "refs/torchproof/commit"


class Checkout:
    """A work tree that can be moved to any commit.

    Args:
        history: Its remote is asked for commits that no other source has.
        directory: Where to put the files; empty. Whoever made it removes it.
        also: Repositories to look in first, such as the user's checkout.
    """

    def __init__(self, history: History, directory: Path, also: Sequence[str] = ()) -> None:
        self.directory = directory
        self._retry = history.retry
        self._here: set[str] = set()
        self._sources = (*map(address, also), "origin")
        self._repository = history.open_repository("checkout", directory / ".git")
        for key, value in (("core.bare", "false"), ("core.worktree", "..")):
            self._repository.git("config", key, value)

    def move(self, commit: str) -> None:
        """Hold a commit's files and nothing else.

        Raises:
            HistoryError: No source has the commit, or its files cannot be written.
        """
        if commit not in self._here and not any(self._fetch(commit, s) for s in self._sources):
            remedy = "Check that it is on the remote, or check out with `fetch-depth: 0`."
            raise HistoryError(f"no repository has the commit {commit:.12}", remedy)
        self._here.add(commit)
        self._repository.git("checkout", "--quiet", "--force", "--detach", commit)
        # Git runs inside .git and would clean there alone.
        self._repository.git("clean", "--quiet", "-ffdx", "--", ":/")

    def _fetch(self, commit: str, source: str) -> bool:
        arguments = ("--depth=1", f"+{commit}:{_REF}")
        return plumbing.fetch_if_there(
            self._repository, *arguments, source=source, retry=self._retry
        )
