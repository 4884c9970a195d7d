"""What stands in the documentation: its pages, their code blocks, tables and links."""

from __future__ import annotations

import re
from pathlib import Path


ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def name(path):
    return path.relative_to(ROOT).as_posix() if isinstance(path, Path) else None


def blocks(language, pages=PAGES):
    """Return (page, code) of every fenced block in a language."""
    found = [(page, *match) for page in pages for match in _BLOCK.findall(page.read_text("utf-8"))]
    return [(page, code) for page, kind, code in found if kind == language]


def table(page, heading):
    """Return the rows of the table whose heading begins so, each a list of cells."""
    lines = iter((ROOT / page).read_text("utf-8").splitlines())
    assert any(line.startswith(heading) for line in lines), heading
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def links(page):
    """Return the relative links of a page, without their fragments."""
    targets = _LINK.findall(page.read_text("utf-8"))
    return [link.partition("#")[0] for link in targets if not re.match(r"\w+:|#", link)]


def code(cell):
    """Return what a cell holds between its backticks; empty where there is nothing."""
    return cell.strip("`")
