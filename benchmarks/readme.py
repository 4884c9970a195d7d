"""The tables in README.md that benchmarks write, so that no figure there is typed by hand.

A table stands between ``<!-- NAME: COMMAND -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
from pathlib import Path


README = Path(__file__).parents[1] / "README.md"


def write(name: str, text: str, *, file: Path = README) -> None:
    """Replace what stands between the marks of a name.

    Raises:
        ValueError: The file has no such marks.
    """
    page = file.read_text("utf-8")
    marks = re.compile(rf"(<!-- {re.escape(name)}: [^\n]* -->\n).*?(<!-- end -->)", re.DOTALL)
    if not marks.search(page):
        raise ValueError(f"{file.name} has no place for {name}")
    file.write_text(marks.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page), "utf-8")
