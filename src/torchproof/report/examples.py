"""What the model gets wrong: the first inputs that failed, capability by capability.

The texts come from the code under test; they stand in code blocks and spans only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from torchproof.report.markdown import code_block, markdown
from torchproof.report.phrase import Name
from torchproof.verdict.numbers import spell


if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from torchproof.record import Example, Record
    from torchproof.report.labels import Labels

MAX_CAPABILITIES = 50
MAX_EXAMPLES = 5
MAX_LINES = 34  # of an input: what was expected and what came must still fit into its block
_METRIC = "behaviour/"
_MARGIN = " " * 10


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """One capability's failures: its rate and interval in words, empty where unknown."""

    test: str
    name: str
    rate: str
    examples: tuple[Example, ...]


def wrong(records: Sequence[Record], tests: Collection[str]) -> tuple[Wrong, ...]:
    """Collect the failures of each capability, those of its first run where there are several.

    Args:
        records: The head's.
        tests: Those that a reader should see; what a team allows to fail elsewhere stays unsaid.
    """
    found: dict[tuple[str, str], Wrong] = {}
    for record in records:
        for (test, name), examples in _grouped(record).items():
            if test in tests and (test, name) not in found:
                rate = _rate(record, test, name)
                shown = tuple(examples[:MAX_EXAMPLES])
                found[test, name] = Wrong(test=test, name=name, rate=rate, examples=shown)
    return tuple(islice(found.values(), MAX_CAPABILITIES))


def blocks(capabilities: Sequence[Wrong], names: Labels) -> list[str]:
    """Write one capability an item, as Markdown: a sentence, then its examples."""
    return ["\n\n".join(_lines(each, names)) for each in capabilities]


def _lines(capability: Wrong, names: Labels) -> Iterator[str]:
    test = Name(names.tests.get(capability.test, capability.test))
    rate = f": {capability.rate}" if capability.rate else ""
    yield markdown((Name(capability.name), " in ", test, rate))
    for example in capability.examples:
        parts = (("input", example.shown), ("expected", example.expected), ("got", example.got))
        yield code_block("\n".join(_part(title, text) for title, text in parts if text))


def _part(title: str, text: str) -> str:
    lines = text.splitlines()
    shown = [*lines[:MAX_LINES], "…"] if len(lines) > MAX_LINES else lines
    return f"{title:<10}" + f"\n{_MARGIN}".join(shown)


def _grouped(record: Record) -> dict[tuple[str, str], list[Example]]:
    found: dict[tuple[str, str], list[Example]] = {}
    for example in record.examples:
        found.setdefault((example.test, example.name), []).append(example)
    return found


def _rate(record: Record, test: str, name: str) -> str:
    values = {each.name: each.value for each in record.metrics if each.test == test}
    rate, low, high = (values.get(f"{_METRIC}{name}{end}") for end in ("", "/95% low", "/95% high"))
    if rate is None:
        return ""
    if low is None or high is None:
        return f"{_percent(rate)} of the inputs fail"
    span = f"95 % interval {_percent(low)} to {_percent(high)}"
    return f"{_percent(rate)} of the inputs fail ({span})"


def _percent(part: float) -> str:
    return f"{spell(100 * part, digits=3)} %"
