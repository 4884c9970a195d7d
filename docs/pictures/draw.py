"""Draw what a terminal shows when a test fails: `python docs/pictures/draw.py`; needs rich."""

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text


HERE = Path(__file__).parent
WIDTH = 112


def draw(test: Path) -> None:
    """Run a test file and save what pytest prints of its failure as an SVG beside it."""
    options = ["-q", "-p", "torchproof", "-p", "no:cacheprovider", "-p", "no:randomly"]
    command = [sys.executable, "-m", "pytest", *options, "--color=yes", "--tb=short", test.name]
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, check=False)
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text(f"$ pytest {test.name}\n"), Text.from_ansi(done.stdout.decode()))
    console.save_svg(str(test.with_suffix(".svg")), title="pytest", unique_id=test.stem)


if __name__ == "__main__":
    for path in sorted(HERE.glob("*_fails.py")):
        draw(path)
