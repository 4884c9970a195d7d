"""What differs between two runs of one commit: all that can have moved, as the code did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple


if TYPE_CHECKING:
    from torchproof.record import Record

KINDS = ("data", "environment", "hardware")
_FROM_JOB_TO_JOB = ("cpu",)


class Moved(NamedTuple):
    """One fact of a fingerprint that differs; empty where there was, or is, none."""

    kind: str
    name: str
    before: str
    now: str


def moved(then: Record, now: Record) -> tuple[Moved, ...]:
    """Return the facts of data, environment and hardware that differ.

    The processor's model is left out: hosted runners change it from job to job.
    """
    found = []
    for kind in KINDS:
        old, new = then.fingerprint.get(kind, {}), now.fingerprint.get(kind, {})
        names = sorted({*old, *new} - {*_FROM_JOB_TO_JOB})
        differing = [name for name in names if old.get(name) != new.get(name)]
        found += [Moved(kind, name, old.get(name, ""), new.get(name, "")) for name in differing]
    return tuple(found)
