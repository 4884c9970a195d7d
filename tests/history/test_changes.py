"""Which files differ between two commits."""

import pytest

from torchproof.errors import HistoryError
from torchproof.history.changes import changed_files


@pytest.fixture
def commits(remote):
    """Two commits: one file stays, one changes, one goes and one comes."""
    remote.line(1)
    for path, text in (("same.py", "a"), ("net.py", "a"), ("old name.py", "a")):
        remote.write(path, text, branch="main")
    before = remote("rev-parse", "main")
    remote.write("net.py", "b", branch="main")
    remote.write("späte.py", "b", branch="main")
    return before, remote("rev-parse", "main")


def test_changed_and_new_files_are_named(history, commits):
    assert changed_files(history(), *commits) == ("net.py", "späte.py")


def test_a_commit_does_not_differ_from_itself(history, commits):
    assert changed_files(history(), commits[0], commits[0]) == ()


def test_a_commit_that_nobody_knows_is_an_error(history, commits):
    with pytest.raises(HistoryError):
        changed_files(history(), commits[0], "f" * 40)
