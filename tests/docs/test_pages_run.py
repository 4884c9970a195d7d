"""The pages whose examples stand on their own run from top to bottom, in an empty directory."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.docs.pages import ROOT, blocks


PAGES = ("constant-weights", "frameworks", "synthetic")


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(page, tmp_path):
    parts = blocks("python", [ROOT / f"docs/{page}.md"])
    script = tmp_path / "page.py"
    script.write_text("\n".join(code for _, code in parts))
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert parts
    assert done.returncode == 0, done.stderr
