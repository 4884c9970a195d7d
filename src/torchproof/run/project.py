"""What a repository's own files say about the environment its tests need.

The files come from the commit under test and are read by the side that holds the token, so nothing
outside the project is followed, nothing but a regular file is opened and nothing large is parsed.
The lines of a TOML file are bounded too: on dotted keys its parser takes quadratic time.
"""

from __future__ import annotations

import configparser
import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from torchproof.errors import ConfigError


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_FILES = 200
MAX_BYTES = 16 * 1024 * 1024
MAX_TOML_BYTES = 1024 * 1024
MAX_TOML_LINE = 8192

_PATTERNS = (
    "uv.lock",
    "uv.toml",
    ".python-version",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "*requirements*.txt",
    "*constraints*.txt",
    "requirements/*.txt",
)
_INCLUDE = re.compile(rb"^\s*-(?:r|c|-requirement|-constraint)[\s=]*([^\s#]+)", re.MULTILINE)
_TEST_NAMES = ("test", "tests", "testing")
_DEV_NAMES = ("dev",)
_TEST_FILE = re.compile(
    r"requirements[-_.](tests?|testing)\.txt|(tests?|testing)[-_.]requirements\.txt"
    r"|requirements/(requirements[-_.])?(tests?|testing)\.txt"
)
_DEV_FILE = re.compile(
    r"requirements[-_.]dev\.txt|dev[-_.]requirements\.txt|requirements/(requirements[-_.])?dev\.txt"
)
_NATIVE = re.compile(rb"ext_modules|ext-modules|Extension\(|cythonize|rust_extensions|cmake|CMake")
_NATIVE_BACKEND = re.compile(r"scikit_build_core|mesonpy|maturin|py_build_cmake|sipbuild")


@dataclass(frozen=True, kw_only=True)
class Project:
    """What the files say; ``extras``, ``groups`` and ``requirements`` are those that tests need.

    ``native`` says that the build leaves compiled files, perhaps in the work tree, which the next
    checkout removes. ``virtual`` is a lock file's root that is no project itself.
    """

    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    name: str = ""
    locked: bool = False
    virtual: bool = False
    installable: bool = False
    native: bool = False
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()


def read_project(directory: Path, *, install: Iterable[str] = ()) -> Project:
    """Read the project in a directory, with the requirements files that ``install`` names."""
    root = Path(os.path.realpath(directory))
    found = (path for pattern in _PATTERNS for path in sorted(root.glob(pattern)))
    waiting = [str(path.relative_to(root)) for path in found]
    waiting += _included(PurePosixPath(), "\n".join(install).encode())
    files: dict[str, bytes] = {}
    while waiting and len(files) < MAX_FILES:
        name = waiting.pop(0)
        data = None if name in files else _read(root, name)
        if data is not None:
            files[name] = data
            if name.endswith(".txt"):
                waiting += _included(PurePosixPath(name).parent, data)
    return understand(files)


def understand(files: Mapping[str, bytes]) -> Project:
    """Say what the files ask for, by relative path."""
    pyproject = _toml("pyproject.toml", files.get("pyproject.toml", b""))
    project = _table(pyproject, "project")
    extras = [*_table(project, "optional-dependencies"), *_setup_cfg_extras(files)]
    extras, groups = _for_tests(extras, list(_table(pyproject, "dependency-groups")))
    return Project(
        files=files,
        name=str(project.get("name", "")),
        locked="uv.lock" in files and "pyproject.toml" in files,
        virtual=not project,
        installable=bool(project) or "build-system" in pyproject or "setup.py" in files,
        native=_is_native(files, pyproject),
        extras=tuple(extras),
        groups=tuple(groups),
        requirements=tuple(_requirements(files)),
    )


def _read(root: Path, name: str) -> bytes | None:
    """Read a regular file that lies in the project, also through links; None for anything else."""
    try:
        # A named pipe would block an open without O_NONBLOCK for ever.
        descriptor = os.open(root / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    with open(descriptor, "rb") as file:
        real = Path(f"/proc/self/fd/{descriptor}").readlink()
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if not regular or not real.is_relative_to(root):
            return None
        return file.read(MAX_BYTES)


def _included(folder: PurePosixPath, data: bytes) -> list[str]:
    paths = (match.decode("utf-8", "replace") for match in _INCLUDE.findall(data))
    return [os.path.normpath(folder / path) for path in paths if "://" not in path]


def _toml(name: str, data: bytes) -> dict[str, Any]:
    remedy = "Correct the file, or name what the tests need in torchproof's install."
    if len(data) > MAX_TOML_BYTES or any(len(line) > MAX_TOML_LINE for line in data.splitlines()):
        raise ConfigError("the file or one of its lines is too long", remedy, where=name)
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not TOML: {error}", remedy, where=name) from error


def _table(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _setup_cfg_extras(files: Mapping[str, bytes]) -> list[str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(files.get("setup.cfg", b"").decode("utf-8", "replace"))
        return parser.options("options.extras_require")
    except configparser.Error:
        return []


def _for_tests(extras: list[str], groups: list[str]) -> tuple[list[str], list[str]]:
    """Keep the names that mean tests, or those that mean development where none does."""
    for names in (_TEST_NAMES, _DEV_NAMES):
        kept = [[name for name in kind if name.lower() in names] for kind in (extras, groups)]
        if any(kept):
            return kept[0], kept[1]
    return [], []


def _requirements(files: Mapping[str, bytes]) -> list[str]:
    main = [name for name in ("requirements.txt", "requirements/requirements.txt") if name in files]
    for pattern in (_TEST_FILE, _DEV_FILE):
        found = sorted(name for name in files if pattern.fullmatch(name))
        if found:
            return main + found
    return main


def _is_native(files: Mapping[str, bytes], pyproject: Mapping[str, Any]) -> bool:
    backend = str(_table(pyproject, "build-system").get("build-backend", ""))
    described = (files.get(name, b"") for name in ("setup.py", "setup.cfg", "pyproject.toml"))
    return bool(_NATIVE_BACKEND.match(backend)) or any(map(_NATIVE.search, described))
