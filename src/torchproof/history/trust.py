"""Which records may stand for the main line: those no pull request had a hand in.

A pull request's run may have tested code that was never merged, and a fork's run may have reported
what it liked; neither becomes a baseline or a value of main. A dispatched run counts if it belongs
to no pull request: the GPU half of a push to main is one. An old commit that was run `AGAIN` to
find a cause does not count: it was chosen because something looked bad.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.plan.request import AGAIN


if TYPE_CHECKING:
    from torchproof.record import Source

__all__ = ["AGAIN", "EVENTS", "trusted"]

EVENTS = frozenset({"push", "schedule", "merge_group", "workflow_dispatch"})


def trusted(source: Source) -> bool:
    """Say whether a record from there may be compared against."""
    own = source.pull_request is None and not source.fork
    return own and source.event in EVENTS and source.commit == source.tested
