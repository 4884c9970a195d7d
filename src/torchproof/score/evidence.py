"""What a repository's files say: calls of the fixture ``proof``, workflows, locks, declarations.

Files are read and never run. What is found is a place in the code that *does* something, never a
word in a comment: tests are parsed. A test counts only if pytest would collect its file.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from torchproof.settings import Settings

MAX_FILES = 5_000
MAX_BYTES = 1024 * 1024

_TESTS = ("test_*.py", "*_test.py")
_IGNORED = {".git", ".venv", "venv", "node_modules", ".tox", ".nox", "build", "dist"}
_METHODS = {
    "overfit": "overfits",
    "behaviour": "behaviours",
    "architecture": "architecture",
    "dataset": "dataset",
    "handover": "handover",
}
_RESOURCES = re.compile(r"\b(s|ms|us|ns|sec|seconds|B|KiB|MiB|GiB|bytes)\b|/s\b", re.IGNORECASE)
_FEATURES = re.compile(r"(^|[._])(data|dataset|feature|preprocess|transform|token|augment|load)")
_LOADS = ("load_state_dict", "from_pretrained", "load_from_checkpoint", "load_file")
_ACTION = re.compile(r"^\s*-?\s*uses:\s*\S*torchproof\S*", re.MULTILINE)
_SCHEDULE = re.compile(r"^\s*schedule\s*:", re.MULTILINE)
_PIN = re.compile(r"^\s*[A-Za-z0-9._-]+(\[[^\]]*\])?\s*==", re.MULTILINE)
_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "conda-lock.yml", "pixi.lock")


@dataclass(frozen=True)
class Evidence:
    """Something found: its kind, and where (``path:line`` or a path) relative to the root."""

    kind: str
    place: str


def look(root: Path, settings: Settings) -> tuple[Evidence, ...]:
    """Look through a repository.

    Args:
        root: Its directory.
        settings: Its ``[tool.torchproof]``.

    Raises:
        UsageError: The directory cannot be read.
    """
    if not root.is_dir():
        raise UsageError("there is no such directory", "Name a repository.", where=str(root))
    files = list(_files(root))
    found = [*_workflows(root, files), *_locks(root, files), *_configured(settings)]
    for path in files:
        if any(fnmatch(path.name, pattern) for pattern in _TESTS):
            found += _test_file(path.relative_to(root).as_posix(), _text(path))
    return tuple(dict.fromkeys(found))


def _files(root: Path) -> Iterator[Path]:
    """Yield the files below a directory, links left out, at most `MAX_FILES`."""
    left = MAX_FILES
    folders = [root]
    while folders and left:
        for path in sorted(folders.pop().iterdir()):
            if path.is_symlink() or path.name in _IGNORED:
                continue
            if path.is_dir():
                folders.append(path)
            elif left:
                left -= 1
                yield path


def _text(path: Path) -> str:
    with open(path, "rb") as file:
        return file.read(MAX_BYTES).decode("utf-8", "replace")


def _workflows(root: Path, files: Iterable[Path]) -> Iterator[Evidence]:
    for path in files:
        if path.parent == root / ".github/workflows" and path.suffix in (".yml", ".yaml"):
            text, place = _text(path), path.relative_to(root).as_posix()
            if _ACTION.search(text):
                yield Evidence("workflow", place)
                if _SCHEDULE.search(text):
                    yield Evidence("nightly", place)


def _locks(root: Path, files: Iterable[Path]) -> Iterator[Evidence]:
    for path in files:
        pinned = fnmatch(path.name, "*requirements*.txt") and _PIN.search(_text(path))
        if path.name in _LOCKS or pinned:
            yield Evidence("pinned", path.relative_to(root).as_posix())


def _configured(settings: Settings) -> Iterator[Evidence]:
    if settings.shapes:
        yield Evidence("shapes", "[tool.torchproof.shapes]")


def _test_file(place: str, text: str) -> Iterator[Evidence]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    marked = any(_marks(node) for node in tree.body if isinstance(node, ast.Assign))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and _imports_features(node):
            yield Evidence("feature-tests", f"{place}:{node.lineno}")
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield from _test(
                place, node, integration=marked or any(map(_marks, node.decorator_list))
            )


def _marks(node: ast.AST) -> bool:
    """Return True for a mark or a list of marks that names the tier ``integration``."""
    return any(isinstance(n, ast.Attribute) and n.attr == "integration" for n in ast.walk(node))


def _imports_features(node: ast.Import | ast.ImportFrom) -> bool:
    names = [alias.name for alias in node.names]
    return any(_FEATURES.search(name) for name in [getattr(node, "module", None) or "", *names])


def _test(place: str, test: ast.FunctionDef, *, integration: bool) -> Iterator[Evidence]:
    if integration:
        yield Evidence("integration", f"{place}:{test.lineno}")
    for node in ast.walk(test):
        if isinstance(node, ast.Call):
            for kind in _call(node):
                yield Evidence(kind, f"{place}:{node.lineno}")


def _call(node: ast.Call) -> Iterator[str]:
    """Yield what one call speaks for."""
    function = node.func
    given = {word.arg: word.value for word in node.keywords}
    if isinstance(function, ast.Name) and function.id == "proof":
        yield from ("proofs", "inputs-used")
    if "serve" in given:
        yield "serve"
    if not isinstance(function, ast.Attribute):
        return
    if function.attr in _LOADS:
        yield "checkpoint"
    if isinstance(function.value, ast.Name) and function.value.id == "proof":
        yield from _METHODS.get(function.attr, "").split()
        yield from _asked(function.attr, node, given)


def _asked(method: str, node: ast.Call, given: dict[str | None, ast.expr]) -> Iterator[str]:
    if method == "behaviour":
        if "slices" in given:
            yield "slices"
        if _value(given.get("kind")) == "INV":
            yield "invariances"
    if method == "metric":
        name = _value(node.args[0] if node.args else given.get("name"))
        if re.search(r"baseline|simple|trivial", name):
            yield "simple-model"
        if _RESOURCES.search(_value(given.get("unit"))):
            yield "resources"
        elif "better" in given:
            yield "quality"


def _value(node: ast.expr | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""
