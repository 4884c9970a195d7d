"""Git directories without the token, with real git."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from tests.run.job import CANARY, git, persist_token

from torchproof.run.clean_git import copy_metadata, copy_workspace, persisted_secrets, repositories


if TYPE_CHECKING:
    from pathlib import Path


def all_bytes(tree: Path) -> bytes:
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    return b"\n".join(path.read_bytes() for path in files)


@pytest.fixture
def crowded(checkout, tmp_path):
    """Return a checkout with a submodule, a worktree, a nested checkout and a bare repository."""
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(checkout), str(other))
    git(checkout, "submodule", "add", "-q", str(other), "sub")
    git(checkout, "worktree", "add", "-q", str(checkout / "tree"))
    git(checkout, "clone", "-q", str(other), str(checkout / "nested"))
    git(checkout, "clone", "-q", "--bare", str(other), str(checkout / "fixtures/store.git"))
    for place in ("sub", "nested", "fixtures/store.git"):
        persist_token(checkout / place, tmp_path / "work/_temp/more.config")
    return checkout


def test_every_git_directory_is_found(crowded):
    found = {str(repository.entry.relative_to(crowded)) for repository in repositories(crowded)}
    assert found == {".git", "sub/.git", "tree/.git", "nested/.git", "fixtures/store.git"}


def test_what_can_carry_a_secret_is_named_and_not_told(checkout):
    keys = persisted_secrets(checkout)
    assert keys == ("http.https://github.com/.extraheader", "include.path")


def test_a_copy_has_no_token_and_git_works_in_it(crowded, tmp_path):
    copy_workspace(crowded, tmp_path / "copy")
    assert CANARY.encode() not in all_bytes(tmp_path / "copy")
    for place in (".", "sub", "tree", "nested"):
        assert git(tmp_path / "copy" / place, "describe") == "v1.0"
        assert git(tmp_path / "copy" / place, "status", "--short") == git(
            crowded / place, "status", "--short"
        )
        assert CANARY not in git(tmp_path / "copy" / place, "config", "--list")
    assert git(tmp_path / "copy/fixtures/store.git", "rev-parse", "--is-bare-repository") == "true"


def test_the_original_is_left_as_it_was(checkout, tmp_path):
    before = all_bytes(checkout)
    copy_workspace(checkout, tmp_path / "copy")
    assert all_bytes(checkout) == before


def test_what_would_run_code_or_lead_away_is_left_out(checkout, tmp_path):
    for key in ("core.hooksPath", "core.fsmonitor", "core.sshCommand", "core.worktree", "alias.x"):
        git(checkout, "config", key, "/tmp/evil")
    (checkout / ".git/hooks/post-checkout").write_text("#!/bin/sh\n")
    (repository,) = repositories(checkout)
    copy_metadata(repository, tmp_path / "git")
    assert b"evil" not in all_bytes(tmp_path / "git")
    assert not (tmp_path / "git/hooks").exists()


def test_a_shallow_checkout_stays_shallow(checkout, tmp_path):
    git(checkout, "commit", "-q", "--allow-empty", "-m", "second")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{checkout}", str(tmp_path / "shallow"))
    copy_workspace(tmp_path / "shallow", tmp_path / "copy")
    assert git(tmp_path / "copy", "rev-list", "--count", "HEAD") == "1"


def test_a_sha256_repository_can_be_read(tmp_path):
    git(tmp_path, "init", "-q", "--object-format=sha256", "new")
    git(tmp_path / "new", "commit", "-q", "--allow-empty", "-m", "first")
    copy_workspace(tmp_path / "new", tmp_path / "copy")
    assert len(git(tmp_path / "copy", "rev-parse", "HEAD")) == 64


def test_a_broken_git_directory_is_cleaned_too(tmp_path):
    (tmp_path / "work/.git").mkdir(parents=True)
    (tmp_path / "work/.git/config").write_text(f"[http]\n\textraheader = {CANARY}\n[broken")
    copy_workspace(tmp_path / "work", tmp_path / "copy")
    assert CANARY.encode() not in all_bytes(tmp_path / "copy")


def test_a_directory_without_git_is_copied_as_it_is(tmp_path):
    (tmp_path / "work/data").mkdir(parents=True)
    (tmp_path / "work/data/x").write_text("1")
    (tmp_path / "work/link").symlink_to("/etc/passwd")
    copy_workspace(tmp_path / "work", tmp_path / "copy")
    assert (tmp_path / "copy/data/x").read_text() == "1"
    assert (tmp_path / "copy/link").is_symlink()


def test_sockets_pipes_and_pointers_that_are_none_stay_behind(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    os.mkfifo(work / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(work / "socket"))
    for name, text in (("a", "gitdir: /nowhere"), ("b", "nonsense"), ("c", "gitdir: ../../x")):
        (work / name).mkdir()
        (work / name / ".git").write_text(text)
    copy_workspace(work, tmp_path / "copy")
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {"a", "b", "c"}
