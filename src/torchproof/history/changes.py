"""Which files differ between two commits: trees are fetched, contents are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.history import plumbing


if TYPE_CHECKING:
    from torchproof.history.store import History

MOST = 2_000


def changed_files(history: History, before: str, after: str) -> tuple[str, ...]:
    """Return the paths that differ, at most `MOST`, with a renamed file under both names.

    Args:
        history: Its remote has the commits.
        before: A commit, as a full id.
        after: Likewise.

    Raises:
        HistoryError: The remote does not answer, or lacks one of the commits.
    """
    repository = history.open_repository("changes")
    options = ("--depth=1", "--filter=blob:none")
    history.retry(lambda: plumbing.fetch(repository, *options, before, after))
    arguments = ("-r", "-z", "--name-only", "--no-renames", "--end-of-options", before, after)
    output = repository.git("diff-tree", *arguments).decode(errors="replace")
    return tuple(path for path in output.split("\0") if path)[:MOST]
