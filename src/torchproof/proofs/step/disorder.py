"""How a finding about the order of events is worded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding


if TYPE_CHECKING:
    from torchproof.proofs.step.events import Event

ID = "event-order"


def disorder(message: str, events: list[Event], remedy: str, at: int = 0) -> Finding:
    """Report what was seen in these events; ``at`` is the one whose line is to blame."""
    return Finding(
        ID,
        "error",
        message,
        evidence={
            "order seen": ", ".join(each.kind for each in events),
            "lines": ", ".join(each.location or "not known" for each in events),
            "call": events[-1].call,
        },
        location=events[at].location,
        remedy=remedy,
    )
