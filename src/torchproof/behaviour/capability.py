"""One capability of a trained model: its verdict on every input, the rate, slices and examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable

from torchproof.behaviour.drawing import draw
from torchproof.behaviour.rate import Rate, percent
from torchproof.behaviour.slices import members
from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torchproof.behaviour.kinds import Answer

MAX_EXAMPLES = 5
_INDENT = "    "


@dataclass(frozen=True)
class Capability:
    """What a behaviour test found.

    Attributes:
        name: What the team calls it, such as ``negation``.
        kind: MFT, INV or DIR.
        answers: One for every input, in order.
        slices: The rate of each subgroup.
        allow: The failure rate that is accepted.
        show: Writes one input for a reader.
    """

    name: str
    kind: str
    answers: Sequence[Answer]
    slices: Mapping[str, Rate] = field(default_factory=dict)
    allow: float = 0.0
    show: Callable[[Any], str] = draw

    @property
    def rate(self) -> Rate:
        """How many of all inputs failed."""
        return _rate(self.answers)

    @property
    def passed(self) -> bool:
        """True if no more failed than are allowed."""
        return self.rate.value <= self.allow

    def examples(self) -> list[tuple[str, str, str]]:
        """Return input, expected and got of the first failures."""
        wrong = [answer for answer in self.answers if not answer.right][:MAX_EXAMPLES]
        return [(self._shown(each), each.expected, each.got) for each in wrong]

    def __str__(self) -> str:
        head = f"{self.name} ({self.kind}): {self.rate}, {percent(self.allow)} allowed"
        parts = [f"{_INDENT}{name}: {rate}" for name, rate in self.slices.items() if rate.failures]
        return "\n".join([head, *parts, *map(_paragraph, self.examples())])

    def _shown(self, answer: Answer) -> str:
        texts = [str(self.show(each)) for each in answer.inputs]
        apart = "\n→\n" if any("\n" in text for text in texts) else "\n→ "
        return apart.join(texts)


def capability(
    name: str,
    kind: str,
    answers: Sequence[Answer],
    *,
    slices: Mapping[str, Any],
    allow: float,
    show: Callable[[Any], str] = draw,
) -> Capability:
    """Put a capability together.

    Raises:
        UsageError: ``allow`` is no rate, or a slice cannot be used.
    """
    if isinstance(allow, bool) or not isinstance(allow, (int, float)) or not 0 <= allow <= 1:
        raise UsageError(f"allow is {allow!r:.40}", "Give a rate between 0 and 1.")
    groups = members(slices, len(answers))
    rates = {group: _rate([answers[at] for at in where]) for group, where in groups.items()}
    return Capability(name, kind, answers, rates, float(allow), show)


def _rate(answers: Sequence[Answer]) -> Rate:
    return Rate(sum(not answer.right for answer in answers), len(answers))


def _paragraph(example: tuple[str, str, str]) -> str:
    rows = zip(("input", "expected", "got"), example)
    return "\n" + "\n".join(_row(title, text) for title, text in rows if text)


def _row(title: str, text: str) -> str:
    lines = text.splitlines() or [""]
    margin = "\n" + " " * len(f"{_INDENT}expected  ")
    return f"{_INDENT}{title:<10}{margin.join(lines)}"
