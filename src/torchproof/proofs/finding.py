"""What a proof reports: findings and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional


if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Finding:
    """One broken rule.

    ``severity`` is ``error`` (decided exactly; may fail a build), ``warning`` or ``info``;
    ``evidence`` holds the numbers that decided; ``location`` is ``path:line`` in the user's code
    or None where the line is not known; ``remedy`` is code; ``waived`` is the team's reason.
    """

    rule: str
    severity: str
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    location: Optional[str] = None
    remedy: str = ""
    waived: str = ""

    def __str__(self) -> str:
        facts = ", ".join(f"{name}: {value}" for name, value in self.evidence.items())
        place = f" at {self.location}" if self.location else ", line not known"
        rows = [
            f"{self.severity} {self.rule}{place}",
            f"  {self.message}",
            f"  evidence  {facts}" if facts else "",
            f"  remedy    {self.remedy}" if self.remedy else "",
            f"  waived    {self.waived}" if self.waived else "",
        ]
        return "\n".join(row for row in rows if row)


@dataclass
class Cost:
    """What a proof took: calls of build, step and predict, wall seconds, and the device."""

    builds: int = 0
    steps: int = 0
    predicts: int = 0
    seconds: float = 0.0
    device: str = "cpu"


def listed(names: list[str], *, limit: int = 4) -> str:
    """Write names as people do: ``a, b and 7 more``."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
