"""A checkpoint held against a lock before it is loaded, from its header alone.

A safetensors file is 8 bytes (the header's length, little-endian), the header as JSON, and the
tensors. Reading the header takes under a millisecond whatever the file weighs, and needs neither
torch nor safetensors. A checkpoint may carry the architecture it was trained as in its metadata;
then a change of the function is found at load time too, which names and shapes never show.
"""

from __future__ import annotations

import math
import os
import struct
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from torchproof.contracts.compare import Comparison, compare_weights
from torchproof.contracts.lock import Architecture
from torchproof.contracts.model import Entry
from torchproof.contracts.source import read_lock
from torchproof.errors import RecordError, UsageError
from torchproof.record.strict_json import parse


if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY = "torchproof.architecture"
MAX_HEADER = 100_000_000  # as the format's own readers have it
MAX_TENSORS = 1_000_000

_TYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "C64": ("complex64", 8),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U64": ("uint64", 8),
    "U32": ("uint32", 4),
    "U16": ("uint16", 2),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}


class Header(NamedTuple):
    """What a checkpoint holds and what was written beside it."""

    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]


def metadata(architecture: Architecture) -> dict[str, str]:
    """Return what to give ``safetensors.torch.save_file`` as ``metadata``."""
    return {KEY: architecture.to_json()}


def check_weights(path: Union[str, Path], lock: Union[str, Path, Architecture]) -> Comparison:
    """Refuse a safetensors file that does not fit a lock, reading only its header.

    Args:
        path: The checkpoint.
        lock: The architecture that is to load it, or where its lock is.

    Returns:
        The verdict: that of the architecture that the checkpoint carries, else of names and shapes.

    Raises:
        UsageError: The weights do not fit, or were trained as another function; or the file is no
            safetensors file.
    """
    found = compare_file(path, lock if isinstance(lock, Architecture) else read_lock(lock))
    if found.breaks:
        remedy = "Load the checkpoint of this architecture, or serve the one it was trained as."
        raise UsageError(f"the weights do not fit: {found}", remedy, where=str(path))
    return found


def compare_file(path: Union[str, Path], wanted: Architecture) -> Comparison:
    """Compare a safetensors file with an architecture; see `check_weights`."""
    found = header(path)
    verdict = compare_weights(found.entries, wanted)
    if verdict.breaks or KEY not in found.metadata:
        return verdict
    return Architecture.from_json(found.metadata[KEY], where=str(path)).compare(wanted)


def header(path: Union[str, Path]) -> Header:
    """Read the header of a safetensors file, whoever wrote it.

    Raises:
        UsageError: It is no safetensors file, or it is cut short.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = _length(file.read(8), size)
            return _header(parse(file.read(length), limit=MAX_HEADER), size - 8 - length)
    except OSError as error:
        what = f"the weights cannot be read: {error.strerror}"
        raise UsageError(what, "Check the path.", where=str(path)) from error
    except (RecordError, ValueError) as error:
        what = error.what if isinstance(error, RecordError) else str(error)
        remedy = "Save it with safetensors.torch.save_file, or fetch it again."
        raise UsageError(f"it is no safetensors file: {what}", remedy, where=str(path)) from error


def _length(data: bytes, size: int) -> int:
    (length,) = struct.unpack("<Q", data.ljust(8, b"\0"))
    if not 1 < length <= min(MAX_HEADER, size - 8):
        raise ValueError("the length of its header is not possible")
    return int(length)


def _header(document: Any, size: int) -> Header:
    if not isinstance(document, dict) or len(document) > MAX_TENSORS:
        raise ValueError("its header is no table of tensors")
    notes = document.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(one, str) for one in notes.values()):
        raise ValueError("its metadata are no texts")
    entries = (_entry(name, value, size) for name, value in sorted(document.items()))
    return Header(tuple(entries), notes)


def _entry(name: str, value: Any, size: int) -> Entry:
    if not isinstance(value, dict) or {*value} != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the tensor {name!r:.80} has no dtype, shape and data_offsets")
    word, width = _TYPES.get(str(value["dtype"]), ("", 0))
    shape, place = value["shape"], value["data_offsets"]
    if not word or not _counts(shape) or not _counts(place) or len(place) != 2:  # noqa: PLR2004 - begin and end
        raise ValueError(f"the tensor {name!r:.80} has a form that is not possible")
    begin, end = place
    if not begin <= end <= size or end - begin != math.prod(shape) * width:
        raise ValueError(f"the tensor {name!r:.80} is not where the header says")
    return Entry(name, tuple(shape), word, "parameter")


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int and one >= 0 for one in value)
