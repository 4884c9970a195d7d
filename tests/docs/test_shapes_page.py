"""docs/shapes.md shows a project: its files run, and its tests fail with the sentences shown."""

from __future__ import annotations

import subprocess
import sys

from tests.docs.pages import ROOT, blocks


PAGE = [ROOT / "docs/shapes.md"]


def test_the_project_of_the_page_fails_with_its_sentences(tmp_path):
    ((_, settings),) = blocks("toml", PAGE)
    (tmp_path / "pyproject.toml").write_text(settings)
    for _, code in blocks("python", PAGE):
        path = tmp_path / code.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    argv = [sys.executable, "-m", "pytest", "-p", "no:randomly"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    ((_, shown),) = blocks("text", PAGE)
    failed = [line for line in done.stdout.splitlines() if line.startswith("E  ")]
    assert [line.partition("TypeCheckError: ")[2] for line in failed] == shown.splitlines()
