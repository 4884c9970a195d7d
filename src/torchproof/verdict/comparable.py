"""Which differences make the numbers of two runs not comparable.

Device kind, GPU model, CUDA, torch, Python's minor version and the processor's architecture. The
CPU model is left out: hosted runners change it from job to job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterable

    from torchproof.record import Record

FACTS = (
    ("hardware", "device", "device"),
    ("hardware", "gpu", "GPU"),
    ("hardware", "cuda", "CUDA driver"),
    ("hardware", "arch", "architecture"),
    ("environment", "platform", "platform"),
    ("environment", "cuda", "CUDA"),
    ("environment", "torch", "torch"),
    ("environment", "python", "Python"),
)

_TIMES = ("ns", "us", "µs", "ms", "s", "sec", "second", "seconds", "min", "minutes", "h", "hours")


def differences(head: Iterable[Record], base: Iterable[Record]) -> tuple[str, ...]:
    """Name what differs, as in ``torch 2.12.0 → 2.13.0``; empty when numbers can be compared."""
    head, base = tuple(head), tuple(base)
    found = []
    for kind, key, word in FACTS:
        now, before = _values(head, kind, key), _values(base, kind, key)
        if now != before:
            found.append(f"{word} {', '.join(before) or 'none'} → {', '.join(now) or 'none'}")
    return tuple(found)


def is_time(unit: str) -> bool:
    """Say whether a unit is one of time or throughput, which no two runs agree on."""
    unit = unit.strip().lower()
    throughput = unit.endswith(("/s", "/sec", "/second", "/min", "/h", " per second"))
    return throughput or unit in _TIMES


def fact(record: Record, kind: str, key: str) -> str:
    """Return a fact of a record's fingerprint as far as it matters, or an empty text."""
    value = record.fingerprint.get(kind, {}).get(key, "")
    return ".".join(value.split(".")[:2]) if key == "python" else value


def _values(records: Iterable[Record], kind: str, key: str) -> list[str]:
    return sorted({value for record in records if (value := fact(record, kind, key))})
