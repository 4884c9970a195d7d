"""A directory as DVC 3.67 left it: the locks are in ``dvc/``, the data is written here."""

from __future__ import annotations

from pathlib import Path

import pytest


WRITTEN = Path(__file__).with_name("dvc")
DATA = {
    "data/table.csv": b"a,b\r\n1,2\r\n",
    "data/imgs/1.txt": b"one\n",
    "data/imgs/sub/2.txt": b"two\n",
    "data/imgs/ü é.txt": "ü".encode(),
    "out/table.csv": b"a,b\r\n1,2\r\n",
    "model.bin": b"m",
}


@pytest.fixture
def workspace(tmp_path):
    """The workspace, with every file that is locked."""
    for name, content in DATA.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name in ("table.csv.dvc", "imgs.dvc"):
        (tmp_path / "data" / name).write_bytes((WRITTEN / f"{name}.txt").read_bytes())
    (tmp_path / "dvc.lock").write_bytes((WRITTEN / "dvc.lock.txt").read_bytes())
    return tmp_path
