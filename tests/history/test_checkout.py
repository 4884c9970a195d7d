"""Old commits in a directory of their own."""

from __future__ import annotations

import subprocess

import pytest

from torchproof.errors import HistoryError
from torchproof.history.checkout import Checkout


def grow(git, texts):
    """Commit one file again and again, and one more with the last text."""
    commits = []
    for number, text in enumerate(texts):
        parent = f"from {commits[-1]}\n" if commits else ""
        stream = (
            f"commit refs/heads/main\nmark :1\ncommitter A <a@b> 179544240{number} +0000\n"
            f"data 4\nedit\n{parent}M 100644 inline only-{number}.txt\ndata 0\n\n"
            f"M 100644 inline level.txt\ndata {len(text)}\n{text}\nget-mark :1\n"
        )
        commits.append(git("fast-import", "--quiet", "--force", stdin=stream))
    return commits


def files(directory):
    return {path.name for path in directory.iterdir()} - {".git"}


def test_a_directory_moves_from_commit_to_commit(remote, history, tmp_path):
    first, second = grow(remote, ["1", "2"])
    place = tmp_path / "place"
    checkout = Checkout(history(), place)
    for commit, text, names in ((second, "2", 3), (first, "1", 2), (second, "2", 3)):
        checkout.move(commit)
        assert (place / "level.txt").read_text() == text
        assert len(files(place)) == names


def test_what_the_tests_left_is_gone_with_the_next_commit(remote, history, tmp_path):
    first, second = grow(remote, ["1", "2"])
    checkout = Checkout(history(), tmp_path / "place")
    checkout.move(first)
    (tmp_path / "place/level.txt").write_text("edited")
    (tmp_path / "place/.pytest_cache").mkdir()
    checkout.move(second)
    checkout.move(first)
    assert (tmp_path / "place/level.txt").read_text() == "1"
    assert files(tmp_path / "place") == {"level.txt", "only-0.txt"}


def test_the_tests_may_ask_git_and_find_no_token(remote, history, tmp_path):
    (commit,) = grow(remote, ["1"])
    place = tmp_path / "place"
    Checkout(history(token="ghs_secret"), place).move(commit)
    asked = ["git", "-C", str(place), "rev-parse", "HEAD"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout[:40] == commit
    stored = [path for path in place.rglob("*") if path.is_file()]
    assert not any(b"secret" in path.read_bytes() for path in stored)


def test_a_commit_of_the_checkout_alone_is_found_there(remote, history, tmp_path):
    local = tmp_path / "local"
    subprocess.run(["git", "init", "-q", "-b", "main", str(local)], check=True)
    (commit,) = grow(type(remote)(local), ["mine"])
    Checkout(history(), tmp_path / "place", also=[str(local)]).move(commit)
    assert (tmp_path / "place/level.txt").read_text() == "mine"


def test_an_unknown_commit_is_one_sentence(remote, history, tmp_path):
    grow(remote, ["1"])
    with pytest.raises(HistoryError, match="no repository has the commit aaaaaaaaaaaa"):
        Checkout(history(), tmp_path / "place").move("a" * 40)
