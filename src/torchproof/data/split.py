"""What a split of a data set holds, counted exactly: shape, dtype, range, labels, duplicates."""

from __future__ import annotations

import hashlib
import math
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional

from torchproof.data.fingerprint import fingerprint, tensor_bytes
from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_ROWS = 10_000_000
MAX_NAMED = 10


@dataclass(frozen=True)
class Split:
    """What a split holds.

    Attributes:
        name: Such as ``train``.
        rows: How many.
        shape: Of one row, empty for a number or a text.
        dtype: Of the values.
        low: The smallest value, None where they are not numbers.
        high: The largest.
        odd: How many values are not finite.
        labels: How often each label occurs; empty without labels.
        digests: One for every row, of its bytes without the label.
    """

    name: str
    rows: int
    shape: tuple[int, ...]
    dtype: str
    low: Optional[float]
    high: Optional[float]
    odd: int
    labels: Mapping[str, int]
    digests: Sequence[bytes] = field(repr=False)


def split(name: str, data: Any) -> Split:
    """Count what a split holds.

    Args:
        name: Of the split.
        data: The rows (a tensor, an array or a list), a pair of rows and labels, or a map-style
            dataset of rows or of pairs (row, label).

    Raises:
        UsageError: It is neither, or rows and labels are not equally many.
    """
    rows, labels = _parts(name, data)
    count = len(rows)
    if not 0 < count <= MAX_ROWS or len(labels) not in (0, count):
        what = f"the split {name} has {count} rows and {len(labels)} labels"
        raise UsageError(what, f"Give 1 to {MAX_ROWS} rows, and no label or one for each.")
    shape, dtype = _kind(rows)
    low, high, odd = _range(rows)
    return Split(name, count, shape, dtype, low, high, odd, _counted(labels), _digests(rows))


def numbers(part: Split) -> dict[str, tuple[float, str]]:
    """Return what of a split is a number: name → value and unit."""
    found: dict[str, tuple[float, str]] = {
        "rows": (part.rows, "rows"),
        "duplicates": (part.rows - len(set(part.digests)), "rows"),
    }
    if part.low is not None and part.high is not None:
        found.update({"min": (part.low, ""), "max": (part.high, "")})
    if part.labels:
        found["labels"] = (len(part.labels), "labels")
        found["rarest label"] = (min(part.labels.values()) / part.rows, "ratio")
    return found


def facts(part: Split) -> dict[str, str]:
    """Return what of a split is a word: name → text."""
    shape = "×".join(map(str, part.shape)) or "single values"
    found = {"shape": shape, "dtype": part.dtype}
    if part.labels:
        found["labels"] = named(sorted(part.labels))
    return found


def named(values: Any) -> str:
    """Write values for a reader, the first of them where there are many."""
    if not isinstance(values, (list, tuple)):
        return str(values)[:100]
    more = f" and {len(values) - MAX_NAMED} more" if len(values) > MAX_NAMED else ""
    return ", ".join(map(str, values[:MAX_NAMED])) + more


def _parts(name: str, data: Any) -> tuple[Any, Any]:
    """Return rows, together where they are tensors of one shape, and labels if there are any."""
    rows, labels = data if _is_pair(data) else (data, ())
    if not hasattr(rows, "__len__") or not hasattr(rows, "__getitem__") or isinstance(rows, str):
        what = f"the split {name} is {type(rows).__name__}"
        raise UsageError(what, "Give rows, or a pair (rows, labels).")
    if hasattr(rows, "dtype"):
        return rows, labels
    rows = [rows[at] for at in range(len(rows))]
    if len(labels) == 0 and rows and all(map(_is_pair, rows)):
        rows, labels = zip(*rows)
    torch = sys.modules.get("torch")
    if torch is not None and rows and all(isinstance(row, torch.Tensor) for row in rows):
        together = len({(row.shape, row.dtype) for row in rows}) == 1
        rows = torch.stack(list(rows)) if together else rows
    return rows, labels


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2  # noqa: PLR2004 - a pair


def _kind(rows: Any) -> tuple[tuple[int, ...], str]:
    if hasattr(rows, "shape") and hasattr(rows, "dtype"):
        return tuple(rows.shape[1:]), str(rows.dtype).replace("torch.", "")
    kinds = sorted({type(row).__name__ for row in rows})
    return (), " or ".join(kinds)


def _range(rows: Any) -> tuple[Optional[float], Optional[float], int]:
    """Return smallest and largest finite value and how many are not finite."""
    flat = _flat(rows)
    if flat is None:
        return None, None, 0
    if isinstance(flat, list):
        finite = [value for value in flat if math.isfinite(value)]
        low, high = (min(finite), max(finite)) if finite else (None, None)
        return low, high, len(flat) - len(finite)
    inside = flat == flat  # noqa: PLR0124 - NaN is not equal to itself
    inside &= abs(flat) != math.inf
    finite = flat[inside]
    odd = len(flat) - len(finite)
    return (float(finite.min()), float(finite.max()), odd) if len(finite) else (None, None, odd)


def _flat(rows: Any) -> Any:
    """Return all values in one dimension, or None where they are not real numbers."""
    if hasattr(rows, "reshape") and hasattr(rows, "dtype"):
        name = str(rows.dtype)
        return rows.reshape(-1) if any(kind in name for kind in ("float", "int")) else None
    numeric = all(isinstance(row, (int, float)) and not isinstance(row, bool) for row in rows)
    return list(rows) if numeric else None


def _counted(labels: Any) -> dict[str, int]:
    plain = labels.tolist() if hasattr(labels, "tolist") else labels
    return dict(Counter(str(each.item() if hasattr(each, "item") else each) for each in plain))


def _digests(rows: Any) -> list[bytes]:
    """Return a digest of each row's bytes; rows of a tensor are slices of its memory."""
    count = len(rows)
    if not hasattr(rows, "dtype") or "object" in str(rows.dtype):
        return [_digest(fingerprint(row).encode()) for row in rows]
    shape, dtype = _kind(rows)
    content = rows.tobytes() if hasattr(rows, "tobytes") else tensor_bytes(rows)[1]
    view = memoryview(content).cast("B")
    width = len(view) // count
    kind = f"{dtype} {shape}".encode()
    return [_digest(kind + bytes(view[at * width : (at + 1) * width])) for at in range(count)]


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:16]
