"""The real DVC with a real local remote says the same. Runs where there is a command ``dvc``."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from torchproof.data import dvc
from torchproof.testing import locked_data


pytestmark = pytest.mark.skipif(shutil.which("dvc") is None, reason="there is no command dvc")
PIPELINE = """\
stages:
  prepare:
    cmd: cp data/table.csv features.csv
    deps: [data/table.csv]
    outs: [features.csv]
"""
FILES = {
    "data/table.csv": b"a,b\r\n1,2\r\n",
    "data/imgs/b/1.bin": bytes(range(256)) * 5000,
    "data/imgs/a b.txt": b"\xef\xbb\xbftext\n",
    "data/imgs/é/ü.txt": b"",
    "data/imgs/b.txt": b"x",
}


@pytest.fixture
def repository(tmp_path):
    """A DVC repository whose data has gone to a remote."""
    root = tmp_path / "repository"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "dvc.yaml").write_text(PIPELINE)
    run(root, "init", "--no-scm")
    run(root, "remote", "add", "-d", "here", str(tmp_path / "remote"))
    run(root, "add", "data/table.csv", "data/imgs")
    run(root, "repro")
    run(root, "push")
    return root


def run(root, *arguments):
    env = {"PATH": f"{shutil.which('dvc').rpartition('/')[0]}:/usr/bin:/bin", "HOME": str(root),
           "DVC_NO_ANALYTICS": "1"}  # fmt: skip
    done = subprocess.run(
        ["dvc", *arguments], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def findings(root):
    found = []
    locked_data.write(lambda event, **fields: found.append((event, fields)), root)
    return [fields["message"] for kind, fields in found if kind == "finding"]


def test_dvc_and_we_agree(repository):
    entries = [each for lock in dvc.locks(repository)[0] for each in dvc.tracked(lock, repository)]
    assert {each.path for each in entries} == {"data/table.csv", "data/imgs", "features.csv"}
    assert all(dvc.md5(repository / each.path) == each.md5 for each in entries)
    assert findings(repository) == []

    shutil.rmtree(repository / "data/imgs")
    shutil.rmtree(repository / ".dvc/cache")
    assert findings(repository) == []
    run(repository, "pull", "data/imgs.dvc")
    assert dvc.md5(repository / "data/imgs").endswith(".dir")
    assert findings(repository) == []

    (repository / "data/imgs/new.txt").write_text("new")
    assert "modified" in run(repository, "data", "status")
    assert findings(repository) == ["data/imgs is not the version that data/imgs.dvc names"]
    run(repository, "add", "data/imgs")
    assert findings(repository) == []
