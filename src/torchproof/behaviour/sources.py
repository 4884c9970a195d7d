"""Which code a function depends on: the user's source files that it imports, however far away.

Imports are read from the source text, so the answer does not depend on what else the process has
imported. A file is the user's if it is not installed, or was installed from a directory, whose
version says little; the versions of all other packages are the environment's to tell. Not seen:
modules named at run time (``importlib.import_module(name)``), files that are read, and globals that
are changed later.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_STANDARD = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
_INSTALLED = ("site-packages", "dist-packages")
_OURS = "torchproof"


def sources(functions: Iterable[Any]) -> dict[str, str]:
    """Return digests of the source files that functions or classes depend on, by module name.

    Raises:
        UsageError: A function has no source file.
    """
    found: dict[str, set[str]] = {}
    seen: set[Path] = set()
    local = frozenset(_from_directories())
    waiting: dict[Path, tuple[str, str]] = {}
    for file, name, package in filter(None, map(_home, functions)):
        if _is_users(name, file, local):
            waiting[file] = (name, package)
    while waiting:
        file, (module, package) = waiting.popitem()
        seen.add(file)
        text = file.read_bytes()
        # Two files may share a name, as conftest.py does.
        found.setdefault(module, set()).add(hashlib.sha256(text).hexdigest())
        for name in _imported(text, package):
            other = _file(name, local)
            if other is not None and other not in seen:
                inside = other.name == "__init__.py"
                waiting[other] = (name, name if inside else name.rpartition(".")[0])
    return {name: " ".join(sorted(digests)) for name, digests in found.items()}


def _home(function: Any) -> Optional[tuple[Path, str, str]]:
    """Return the file that defines a function, its module's name, and its package's.

    A class without a source is one written in C, which is an installed package's.
    """
    function = inspect.unwrap(function)
    try:
        file = inspect.getsourcefile(function)
    except TypeError:
        file = None
    module = function.__module__
    if file is None and inspect.isclass(function) and module in sys.modules:
        return None
    if file is None or not Path(file).is_file():
        what = f"the source of {getattr(function, '__qualname__', function)!s:.80} is not known"
        raise UsageError(what, "Give a function or class that is defined in a file.")
    scope = getattr(function, "__globals__", None) or vars(sys.modules[module])
    return Path(file), module, scope.get("__package__") or module.rpartition(".")[0]


def _imported(text: bytes, package: str) -> Iterator[str]:
    """Yield the name of every module a source may import, with the packages it lies in."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)] if base else []
        else:
            continue
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parts, *filter(None, [node.module])])


def _file(name: str, local: frozenset[str]) -> Optional[Path]:
    """Return the user's source file of a module, None for other people's modules."""
    top = name.partition(".")[0]
    # Finding a module's place imports the packages around it: only the user's own are imported.
    if not _is_users(top, _place(top), local):
        return None
    file = _place(name)
    return file if file is not None and file.suffix == ".py" else None


def _place(name: str) -> Optional[Path]:
    """Return where a module is, without running it: its file, or its directory if it has none."""
    module = sys.modules.get(name)
    if module is not None and getattr(module, "__file__", None):
        return Path(str(module.__file__))
    with suppress(ImportError, ValueError, AttributeError):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.has_location:
            return Path(str(spec.origin))
        if spec is not None and spec.submodule_search_locations:
            return Path(next(iter(spec.submodule_search_locations)))
    return None


def _is_users(name: str, place: Optional[Path], local: frozenset[str]) -> bool:
    top = name.partition(".")[0]
    if place is None or top == _OURS:
        return False
    place = place.resolve()
    if any(part in _INSTALLED for part in place.parts):
        return top in local
    return not any(home in place.parents for home in _STANDARD)


def _from_directories() -> Iterator[str]:
    """Yield the top-level names of packages that were copied from a directory."""
    for search in map(Path, sys.path):
        for url in search.glob("*.dist-info/direct_url.json"):
            record = url.with_name("RECORD")
            if record.exists() and '"dir_info"' in url.read_text("utf-8", "replace"):
                for line in record.read_text("utf-8", "replace").splitlines():
                    yield line.partition("/")[0].partition(".")[0]
