"""Where a function or class of the user's is defined, by its dotted name."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any, Optional


def split(name: str) -> tuple[str, str]:
    """Return the module and what is inside of it: ``pkg.model.Net.forward`` → ``Net.forward``."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        if module in sys.modules:
            return module, ".".join(parts[length:])
    return "", name


def place_of(name: str, root: Path) -> Optional[str]:
    """Return ``path:line``, relative to ``root`` where it lies inside; None if it is not found.

    A generated method, such as a dataclass's ``__init__``, is where its class is, and a function
    inside another one where that is.
    """
    module, inside = split(name.partition(".<locals>")[0])
    owner, found = None, sys.modules.get(module)
    for part in inside.split("."):
        owner, found = found, getattr(found, part, None)
    for candidate in (found, owner):
        place = None if candidate is None else _source(candidate)
        if place is not None:
            file, line = place
            path = Path(file)
            return f"{path.relative_to(root) if root in path.parents else path}:{line}"
    return None


def _source(thing: Any) -> Optional[tuple[str, int]]:
    try:
        thing = inspect.unwrap(thing)
        file = inspect.getsourcefile(thing)
        _, line = inspect.getsourcelines(thing)
    except (TypeError, OSError, ValueError):
        return None
    return (file, line) if file else None
