"""A workspace without the token that checkout leaves in it.

actions/checkout writes the job's token into ``.git/config`` (``http.<host>.extraheader``), into the
configuration of submodules, or into a file below the runner's temp folder that git's configuration
includes. Tests still want ``git describe`` and ``git ls-files`` to work. So each git directory gets
a clean copy: HEAD, index, refs and a configuration of harmless keys; the objects, which hold what
was committed and nothing else, are taken as they are.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchproof.errors import HostError


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_OF_CHECKOUT = ("HEAD", "index")
_OF_REPOSITORY = ("refs", "packed-refs", "reftable", "shallow", "info")
_HARMLESS_KEYS = frozenset(
    [
        *(f"core.{key}" for key in ("repositoryformatversion", "filemode", "bare", "symlinks")),
        *(f"core.{key}" for key in ("ignorecase", "precomposeunicode", "quotepath", "abbrev")),
        *(f"core.{key}" for key in ("autocrlf", "eol", "sparsecheckout", "sparsecheckoutcone")),
        *(f"extensions.{key}" for key in ("objectformat", "compatobjectformat", "refstorage")),
    ]
)
_SECRET_KEY = re.compile(r"http\..*extraheader|credential\.|include(if)?\.")


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository that the workspace holds or leads to.

    ``entry`` is its directory in the workspace, or the ``.git`` file of a submodule or worktree
    that leads to ``gitdir``. ``common`` is the same as ``gitdir``, except in a worktree.
    """

    entry: Path
    gitdir: Path
    common: Path

    @property
    def objects(self) -> Path:
        """The object store."""
        return self.common / "objects"


def repositories(workspace: Path) -> Iterator[Repository]:
    """Find every repository in the workspace: of any name, nested, bare, or led to by a file.

    What lies inside a git directory (modules, worktrees) is no entry of its own: it is covered with
    the directory, and found again through the ``.git`` files that lead there.

    Raises:
        HostError: A directory cannot be searched, so that what it holds cannot be covered.
    """
    for here, directories, files in os.walk(workspace, onerror=_raise):
        path = Path(here)
        if path.name == ".git" or {"HEAD", "objects", "refs"} <= {*directories, *files}:
            directories.clear()
            yield Repository(entry=path, gitdir=path, common=path)
        elif ".git" in files and (found := _led_to(path / ".git")):
            yield found


def persisted_secrets(workspace: Path) -> tuple[str, ...]:
    """Name the configuration keys of the workspace's repositories that can carry a secret."""
    keys = [key for found in repositories(workspace) for key, _ in _configuration(found)]
    return tuple(key for key in keys if _SECRET_KEY.match(key))


def copy_metadata(repository: Repository, target: Path) -> None:
    """Make the clean copy of one git directory, with an empty ``objects`` directory."""
    (target / "objects").mkdir(parents=True)
    shared_index = [path.name for path in repository.gitdir.glob("sharedindex.*")]
    for name in (*_OF_CHECKOUT, *shared_index):
        _copy(repository.gitdir / name, target / name)
    for name in _OF_REPOSITORY:
        _copy(repository.common / name, target / name)
    keys = dict(_configuration(repository))
    if repository.entry.is_file():
        keys["core.bare"] = "false"
    (target / "config").write_text(_written(keys), encoding="utf-8")


def copy_workspace(workspace: Path, target: Path) -> None:
    """Copy a workspace with clean repositories; sockets and other special files stay behind."""
    found = list(repositories(workspace))
    left_out = _all_but_plain({repository.entry for repository in found})
    shutil.copytree(workspace, target, symlinks=True, ignore=left_out)
    for repository in found:
        place = target / repository.entry.relative_to(workspace)
        copy_metadata(repository, place)
        _copy(repository.objects, place / "objects")


def _raise(error: OSError) -> None:
    raise HostError(
        f"it cannot be searched for git directories that hold a token: {error.strerror}",
        "Make it readable, or remove it from the workspace.",
        where=str(error.filename),
    ) from error


def _led_to(pointer: Path) -> Repository | None:
    """Follow a ``.git`` file (gitrepository-layout(5)); None unless it leads to a git directory."""
    if pointer.is_symlink() or not pointer.is_file():
        return None
    text = _path_in(pointer)
    if not text.startswith("gitdir:"):
        return None
    gitdir = (pointer.parent / text.removeprefix("gitdir:").strip()).resolve()
    common = gitdir
    if (gitdir / "commondir").is_file():
        common = (gitdir / _path_in(gitdir / "commondir")).resolve()
    if not (gitdir / "HEAD").is_file() or not (common / "objects").is_dir():
        return None
    return Repository(entry=pointer, gitdir=gitdir, common=common)


def _path_in(file: Path) -> str:
    with file.open("rb") as text:
        return os.fsdecode(text.read(4096)).strip()


def _configuration(repository: Repository) -> Iterator[tuple[str, str]]:
    """Read the configuration's own keys; what it includes is not followed."""
    for file in (repository.common / "config", repository.gitdir / "config.worktree"):
        done = subprocess.run(
            ["git", "config", "--file", str(file), "--null", "--list", "--no-includes"],
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        for item in done.stdout.decode("utf-8", "replace").split("\0"):
            key, _, value = item.partition("\n")
            yield key, value


def _written(keys: dict[str, str]) -> str:
    lines = []
    for key in sorted(_HARMLESS_KEYS & keys.keys()):
        section, _, name = key.partition(".")
        value = keys[key].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines += [f"[{section}]", f'\t{name} = "{value}"']
    return "\n".join([*lines, ""])


def _copy(source: Path, target: Path) -> None:
    if source.is_dir() and not source.is_symlink():
        ignore = _all_but_plain(set())
        shutil.copytree(source, target, symlinks=True, ignore=ignore, dirs_exist_ok=True)
    elif source.is_symlink() or source.is_file():
        shutil.copy2(source, target, follow_symlinks=False)


def _all_but_plain(left_out: set[Path]) -> Callable[[str, list[str]], Iterable[str]]:
    """Make what ``copytree`` asks: the names not to copy, which are these and special files."""

    def ignore(here: str, names: list[str]) -> Iterable[str]:
        paths = [Path(here, name) for name in names]
        return {path.name for path in paths if path in left_out or not _is_plain(path)}

    return ignore


def _is_plain(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
