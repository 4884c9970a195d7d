"""The real DVC with a real local remote says the same."""

from __future__ import annotations

import shutil

import pytest
from tests.real_dvc import needs_dvc, run_dvc

from torchproof.data import dvc
from torchproof.testing import locked_data


pytestmark = needs_dvc
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
    run_dvc(root, "init", "--no-scm")
    run_dvc(root, "remote", "add", "-d", "here", str(tmp_path / "remote"))
    run_dvc(root, "add", "data/table.csv", "data/imgs")
    run_dvc(root, "repro")
    run_dvc(root, "push")
    return root


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
    run_dvc(repository, "pull", "data/imgs.dvc")
    assert dvc.md5(repository / "data/imgs").endswith(".dir")
    assert findings(repository) == []

    (repository / "data/imgs/new.txt").write_text("new")
    assert "modified" in run_dvc(repository, "data", "status")
    assert findings(repository) == ["data/imgs is not the version that data/imgs.dvc names"]
    run_dvc(repository, "add", "data/imgs")
    assert findings(repository) == []
