"""Files that ship beside the code: templates and the demo project.

In a wheel they lie in the package, in a checkout at the repository's top.
"""

from __future__ import annotations

from pathlib import Path


_PACKAGE = Path(__file__).parent
_REPOSITORY = _PACKAGE.parents[1]


def asset(name: str) -> Path:
    """Return the path of a shipped file or directory, as in ``templates/comment.md.j2``."""
    in_package = _PACKAGE / name
    return in_package if in_package.exists() else _REPOSITORY / name
