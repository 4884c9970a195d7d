"""What a test that ended in an error had not come to yet, read from its source."""

from __future__ import annotations

import ast
import inspect
import textwrap
import traceback
from typing import TYPE_CHECKING, Optional


if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    import pytest

# What these record follows from code, data and models that are known already.
_KNOWN = ("metric", "behaviour")


def asks(item: pytest.Item, trace: Optional[TracebackType], fixture: str = "proof") -> bool:
    """Tell whether a test may ask the fixture for a model or data after the line that it ended at.

    True as well where that cannot be read.
    """
    function = inspect.unwrap(getattr(item, "function", None) or asks)
    ended = [line for frame, line in traceback.walk_tb(trace) if frame.f_code is function.__code__]
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):
        return True
    if not ended:
        return True
    at = _start(tree, ended[0] - first + 1)
    return any(line > at for line in _uses(tree, fixture))


def _start(tree: ast.AST, line: int) -> int:
    """Return the line, or the one before the outermost loop around it."""
    around = [
        node.lineno - 1
        for node in ast.walk(tree)
        if isinstance(node, (ast.For, ast.While)) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return min(around, default=line)


def _uses(tree: ast.AST, name: str) -> Iterator[int]:
    """Yield the lines at which a name stands, unless for what is known already."""
    known = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in _KNOWN
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == name and id(node) not in known:
            yield node.lineno
