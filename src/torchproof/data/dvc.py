"""Data versions from what DVC wrote, ``*.dvc`` and ``dvc.lock``, without importing DVC.

A file's hash is its MD5. A directory's is the MD5 of the JSON list of its files' hashes and names,
sorted by name, with ``.dir`` behind it (dvc-data, ``hashfile/tree.py``). Entries without
``hash: md5`` are DVC 2's, which took CRLF for LF in a text file. Tests ask DVC 3.67 itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torchproof.data.fingerprint import chunks, files
from torchproof.data.yaml_subset import read
from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOCK = "dvc.lock"
MAX_LOCK_BYTES = 4 * 1024 * 1024
MAX_NAMES = 100_000
SOURCE_CODE = (".py", ".ipynb", ".sh", ".yaml", ".yml", ".toml", ".json")

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_STAGES = re.compile(r"^stages:", re.MULTILINE)
_WDIR = re.compile(r"^\s+wdir:", re.MULTILINE)


@dataclass(frozen=True)
class Tracked:
    """One file or directory that DVC tracks.

    Attributes:
        path: Relative to the root, with slashes.
        md5: As locked; ends with ``.dir`` for a directory.
        size: In bytes, None where it is not said.
        made: True for what a stage makes: its version follows from code and other data.
        old: True for an entry of DVC 2.
        place: ``file:line`` that locks it.
    """

    path: str
    md5: str
    size: Optional[int]
    made: bool
    old: bool
    place: str


def locks(root: Path) -> tuple[list[Path], bool]:
    """Return every ``*.dvc`` and ``dvc.lock`` under a root, and True if all was searched.

    Hidden directories, environments and directories that DVC tracks as a whole are passed over.
    """
    found: list[Path] = []
    seen = 0
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        tracked = {name[: -len(".dvc")] for name in names if name.endswith(".dvc")}
        folders[:] = sorted(
            each for each in folders if each not in tracked and not _foreign(here / each)
        )
        found += [
            here / name for name in sorted(names) if name == LOCK or Path(name).suffix == ".dvc"
        ]
        seen += len(names) + len(folders)
        if seen > MAX_NAMES:
            return found, False
    return found, True


def tracked(lock: Path, root: Path) -> list[Tracked]:
    """Return what a ``*.dvc`` file or a ``dvc.lock`` tracks: data, and no source code.

    Raises:
        UsageError: The file cannot be read, or says what this reader does not know.
    """
    where = _relative(lock, root)
    try:
        text = _text(lock)
        return [_tracked(lock, root, text, entry) for entry in _entries(lock, read(text))]
    except UsageError as error:
        raise UsageError(error.what, error.remedy, where=where) from error
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"the file is not as DVC writes it: {error!s:.100}"
        raise UsageError(what, "Let DVC write it.", where=where) from error


def stages_without_lock(root: Path) -> bool:
    """Return True if a pipeline is declared and what it has made is locked nowhere."""
    declared = root / "dvc.yaml"
    if (root / LOCK).exists() or not declared.is_file():
        return False
    return _STAGES.search(declared.read_text("utf-8", "replace")) is not None


def md5(path: Path, *, old: bool = False) -> str:
    """Return DVC's hash of a file or directory.

    Args:
        path: What to hash.
        old: As DVC 2 did, for which CRLF in a text file is LF.
    """
    if not path.is_dir():
        return _file_md5(path, old=old)
    entries = [
        {"md5": _file_md5(file, old=old), "relpath": file.relative_to(path).as_posix()}
        for file in files(path)
    ]
    entries.sort(key=lambda entry: entry["relpath"])
    manifest = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(manifest, usedforsecurity=False).hexdigest() + ".dir"


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a directory."""
    return sum(file.stat().st_size for file in files(path))


def ignores(root: Path) -> bool:
    """Return True if a ``.dvcignore`` names something: a directory's hash then leaves it out."""
    file = root / ".dvcignore"
    lines = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def _text(lock: Path) -> str:
    if lock.stat().st_size > MAX_LOCK_BYTES:
        raise UsageError("the file is too large", "A lock holds names and hashes only.")
    return lock.read_text("utf-8")


class _Entry(NamedTuple):
    """What a lock says of one path, the directory it is relative to, and if a stage makes it."""

    said: Mapping[str, Any]
    folder: str = "."
    made: bool = False


def _entries(lock: Path, document: Mapping[str, Any]) -> Iterator[_Entry]:
    if lock.name != LOCK:
        for said in document.get("outs") or []:
            yield _Entry(said, document.get("wdir") or ".")
        return
    if document.get("schema") != "2.0":
        what = f"its schema is {document.get('schema')!r:.20}"
        raise UsageError(what, "Only the schema 2.0 of DVC 2 and 3 is known.")
    declared = lock.with_name("dvc.yaml")
    if declared.is_file() and _WDIR.search(declared.read_text("utf-8", "replace")):
        raise UsageError("a stage has a wdir", "Paths of such a lock cannot be told apart.")
    stages = (document.get("stages") or {}).values()
    outs = {said["path"]: said for stage in stages for said in stage.get("outs") or []}
    deps = {said["path"]: said for stage in stages for said in stage.get("deps") or []}
    yield from (_Entry(said, made=True) for said in outs.values())
    for path, said in deps.items():
        if path not in outs and Path(path).suffix not in SOURCE_CODE:
            yield _Entry(said)


def _tracked(lock: Path, root: Path, text: str, entry: _Entry) -> Tracked:
    path, digest = entry.said["path"], entry.said.get("md5", "")
    if not _MD5.fullmatch(digest):
        what = f"{path!r:.80} has no MD5 hash"
        raise UsageError(what, "Only DVC's own MD5 hashes are known.")
    line = text[: text.index(digest)].count("\n") + 1
    place = os.path.normpath(lock.parent / entry.folder / path)
    return Tracked(
        path=_relative(Path(place), root),
        md5=digest,
        size=int(entry.said["size"]) if entry.said.get("size") else None,
        made=entry.made,
        old="hash" not in entry.said,
        place=f"{_relative(lock, root)}:{line}",
    )


def _file_md5(path: Path, *, old: bool) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    if old and b"\0" not in next(iter(chunks(path)), b"")[:512]:
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
        return digest.hexdigest()
    for piece in chunks(path):
        digest.update(piece)
    return digest.hexdigest()


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _foreign(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in ("__pycache__", "node_modules")
    return hidden or (folder / "pyvenv.cfg").exists()
