"""The fingerprint of data: equal for equal bytes, on every machine and in every process.

A value is hashed with its type, so that ``1``, ``1.0`` and ``"1"`` differ; a tensor with dtype and
shape; a directory with the names in it. What has a fingerprint of its own, as a Hugging Face
dataset has in ``_fingerprint``, is taken at its word.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterable

CHUNK = 1024 * 1024
MAX_DEPTH = 20

_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def fingerprint(value: Any) -> str:
    """Return ``sha256:…`` of data, or the fingerprint that it carries.

    Args:
        value: A path (``pathlib.Path``), a tensor or array, a plain value, a map-style dataset,
            or any nesting of these in lists, tuples, sets and dictionaries.

    Raises:
        UsageError: Something in it has no bytes to hash; the error names its type.
    """
    own = carried(value)
    if own:
        return own
    digest = hashlib.sha256()
    _add(digest, value, 0)
    return f"sha256:{digest.hexdigest()}"


def carried(value: Any) -> str:
    """Return the fingerprint that a dataset carries itself, or an empty text."""
    for name, source in (("_fingerprint", "huggingface"), ("fingerprint", "own")):
        found = getattr(value, name, None)
        if isinstance(found, str) and found:
            return f"{source}:{found}"
    return ""


def files(path: Path) -> list[Path]:
    """Return a file, or every file in a directory, sorted by its name inside.

    Raises:
        UsageError: There is nothing at the path.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError("there is no such data", "Check the path, or pull it.", where=str(path))
    found = (each for each in path.rglob("*") if each.is_file())
    return sorted(found, key=lambda each: each.relative_to(path).as_posix())


def chunks(path: Path) -> Iterable[bytes]:
    """Yield a file's bytes piece by piece."""
    with open(path, "rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def tensor_bytes(tensor: Any) -> tuple[str, Any]:
    """Return what a tensor is (dtype and shape) and its values' bytes as a buffer.

    Raises:
        UsageError: Its values do not lie in memory one after the other: sparse, quantized, meta.
    """
    kind = f"{tensor.dtype} {tuple(tensor.shape)}"
    odd = str(tensor.layout) != "torch.strided" or tensor.is_quantized or tensor.is_meta
    if odd:
        what = f"a tensor is {'on meta' if tensor.is_meta else 'sparse or quantized'}"
        raise UsageError(what, "Give its parts: indices and values, or the numbers themselves.")
    flat = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    size = flat.numel() * flat.element_size()
    if size == 0:
        return kind, b""
    buffer = (ctypes.c_char * size).from_address(flat.data_ptr())
    buffer.owner = flat  # keeps the memory while the buffer lives
    return kind, buffer


def _add(digest: Any, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise UsageError(f"the data is nested deeper than {MAX_DEPTH}", "Give its parts.")
    if isinstance(value, _PLAIN):
        text = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
        _piece(digest, type(value).__name__, text)
    elif isinstance(value, Path):
        _add_path(digest, value)
    elif isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: repr(pair[0]))
        _add_all(digest, "dict", [each for pair in pairs for each in pair], depth)
    elif isinstance(value, (set, frozenset)):
        _add_all(digest, "set", sorted(map(fingerprint, value)), depth)
    elif isinstance(value, (list, tuple, range)):
        _add_all(digest, type(value).__name__, value, depth)
    else:
        _add_other(digest, value, depth)


def _add_other(digest: Any, value: Any, depth: int) -> None:
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    own = carried(value)
    if own:
        _piece(digest, "carried", own.encode())
    elif torch is not None and isinstance(value, torch.Tensor):
        kind, buffer = tensor_bytes(value)
        _piece(digest, kind, buffer)
    elif torch is not None and isinstance(value, (torch.dtype, torch.device)):
        _piece(digest, "torch", str(value).encode())
    elif numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        _add_array(digest, numpy.asarray(value), depth)
    elif hasattr(value, "columns") and hasattr(value, "to_numpy"):  # a table, such as pandas'
        columns = [value[name].to_numpy() for name in value.columns]
        _add_all(digest, "table", [list(map(str, value.columns)), *columns], depth)
    elif hasattr(value, "__getitem__") and hasattr(value, "__len__"):
        rows = (value[at] for at in range(len(value)))
        _add_all(digest, type(value).__name__, rows, depth)
    else:
        what = f"{type(value).__module__}.{type(value).__qualname__} has no bytes to hash"
        raise UsageError(what, "Give a path, tensors, plain values, or lists of these.")


def _add_array(digest: Any, array: Any, depth: int) -> None:
    if array.dtype.hasobject:
        _add_all(digest, "object array", array.tolist(), depth)
    else:
        kind = f"{array.dtype.newbyteorder('<').str} {array.shape}"
        _piece(digest, kind, array.astype(array.dtype.newbyteorder("<")).tobytes())


def _add_path(digest: Any, path: Path) -> None:
    inside = path if path.is_dir() else path.parent
    for file in files(path):
        name = file.relative_to(inside).as_posix() if path.is_dir() else ""
        _piece(digest, "file", name.encode("utf-8", "surrogateescape"))
        content = hashlib.sha256()
        for piece in chunks(file):
            content.update(piece)
        _piece(digest, "content", content.digest())


def _add_all(digest: Any, kind: str, values: Iterable[Any], depth: int) -> None:
    count = 0
    _piece(digest, "begin", kind.encode())
    for value in values:
        _add(digest, value, depth + 1)
        count += 1
    _piece(digest, "end", str(count).encode())


def _piece(digest: Any, kind: str, content: Any) -> None:
    """Hash one piece so that no two sequences of pieces give the same bytes."""
    size = len(content)
    digest.update(f"{kind}:{size}:".encode("utf-8", "surrogatepass"))
    digest.update(content)
