"""The source that a test depends on, as digests that comments, docstrings and layout do not move.

A trajectory says that what ran gave the same bits. What did not run yet, such as the test's own
thresholds, an evaluation or the number of epochs, can only be vouched for by reading the same. So
can what runs on a GPU alone: mixed precision, TF32, compiled and fused kernels.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
import sysconfig
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CONFIGURATION = (".cfg", ".ini", ".json", ".toml", ".yaml", ".yml")
MAX_FILES = 2_000
MAX_BYTES = 1024 * 1024

_ACCELERATED = re.compile(
    r"cuda|gpu|autocast|\bamp\b|scaler|tf32|matmul_precision|float16|half|compile|fused|triton|sdp",
    re.IGNORECASE,
)
_SCHEMES = ("stdlib", "platstdlib", "purelib", "platlib")
_OURS = Path(__file__).parents[1]
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def of_test(file: Path, root: Path) -> str:
    """Return a digest of a test's file and of the conftest.py files that apply to it."""
    folders = [folder for folder in file.parents if folder == root or root in folder.parents]
    conftests = [folder / "conftest.py" for folder in folders]
    return _digest([file, *filter(Path.is_file, conftests)])


def of_project(root: Path, modules: Optional[Mapping[str, Any]] = None) -> str:
    """Return two digests of the project's modules that are imported, with a space between them.

    The first is of the statements that name what a GPU does, the second of everything and of the
    configuration files; it is empty where these are more than could be read in passing. The
    project is what was installed from a directory, or not installed at all.
    """
    loaded = list((sys.modules if modules is None else modules).values())
    names = {name for each in loaded if (name := _file(each))}
    copied = _from_directories(tuple(sys.path))
    own = {Path(name) for name in names if not name.startswith(_foreign()) or name in copied}
    accelerated = _hash(text for file in own for text in _read(file).accelerated)
    own.update(_configuration(root))
    return f"{accelerated} {_digest(own) if len(own) <= MAX_FILES else ''}"


class _Text(NamedTuple):
    """What counts of a file: all of it, and the statements that name what a GPU does."""

    all: str
    accelerated: tuple[str, ...] = ()


def _digest(files: Iterable[Path]) -> str:
    return _hash(_read(file).all for file in files)


def _hash(texts: Iterable[str]) -> str:
    whole = "\n".join(sorted(texts))
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _read(file: Path) -> _Text:
    """Return what counts of a file; its place does not, as far as nothing else names it."""
    try:
        data = file.read_bytes()
    except OSError:
        return _Text(f"{file.name} cannot be read")
    return _parsed(data) if file.suffix == ".py" else _Text(hashlib.sha256(data).hexdigest())


@lru_cache(maxsize=MAX_FILES)
def _parsed(source: bytes) -> _Text:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return _Text(hashlib.sha256(source).hexdigest())
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    statements = [_head(node) for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    return _Text(ast.dump(tree), tuple(filter(_ACCELERATED.search, statements)))


def _head(node: ast.stmt) -> str:
    """Return a statement, without its body unless it is a condition."""
    if isinstance(node, ast.If):
        return ast.dump(node) if _ACCELERATED.search(ast.dump(node.test)) else ""
    heads = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]
    return f"{type(node).__name__} {' '.join(map(ast.dump, heads))}"


def _file(module: Any) -> Optional[str]:
    name = getattr(module, "__file__", None)
    return name if isinstance(name, str) and name.endswith(".py") else None


@lru_cache(maxsize=1)
def _foreign() -> tuple[str, ...]:
    """Return the directories of Python, of installed packages and of torchproof."""
    return (*(f"{sysconfig.get_path(scheme)}{os.sep}" for scheme in _SCHEMES), f"{_OURS}{os.sep}")


@lru_cache(maxsize=1)
def _from_directories(search: tuple[str, ...]) -> frozenset[str]:
    """Name the files of packages that were copied from a directory: their version says little."""
    urls = [url for place in search for url in Path(place).glob("*.dist-info/direct_url.json")]
    copied = [url.parent for url in urls if '"dir_info"' in url.read_text("utf-8", "replace")]
    packages = [metadata.PathDistribution(each) for each in copied]
    return frozenset(str(each.locate_file(name)) for each in packages for name in each.files or ())


def _configuration(root: Path) -> Iterator[Path]:
    """Name the configuration files, up to one more than can be read in passing."""
    count = 0
    for folder, folders, names in os.walk(root):
        folders[:] = [each for each in folders if not _left_out(Path(folder, each))]
        for name in names:
            file = Path(folder, name)
            if name.endswith(CONFIGURATION) and file.stat().st_size <= MAX_BYTES:
                count += 1
                yield file
        if count > MAX_FILES:
            return


def _left_out(folder: Path) -> bool:
    hidden = folder.name.startswith((".", "__")) or folder.name == "node_modules"
    return hidden or (folder / "pyvenv.cfg").exists()
