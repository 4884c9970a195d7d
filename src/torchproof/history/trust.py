"""Which records may stand for the main line: those no pull request had a hand in.

A pull request's run may have tested code that was never merged, and a fork's run may have reported
what it liked; neither becomes a baseline or a value of main. A dispatched run counts if it belongs
to no pull request: the GPU half of a push to main is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from torchproof.record import Source

EVENTS = frozenset({"push", "schedule", "merge_group", "workflow_dispatch"})


def trusted(source: Source) -> bool:
    """Say whether a record from there may be compared against."""
    own = source.pull_request is None and not source.fork
    return own and source.event in EVENTS and source.commit == source.tested
