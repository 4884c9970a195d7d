"""Tiers as marker expressions: which one was asked for, what it selects, which markers it names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Optional

from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Mapping

    from torchproof.settings import Tier

# The one message by which torch says that a loss compares every output with every label.
BROADCAST_WARNING = "error:Using a target size:UserWarning"

_MEANING = {
    "gpu": "needs a GPU (CUDA device)",
    "slow": "takes long",
    "overfit": "overfits a single batch",
    "integration": "trains and infers, end to end",
    "nightly": "runs only in the nightly tier",
}
NO_TESTS = 5  # pytest's exit code
_CALL = re.compile(r"\([^()]*=[^()]*\)")  # `mark(key="value")`, pytest >= 8.3
_WORD = re.compile(r"[\w:+\-.\[\]\\/]+")  # what pytest takes for an identifier
_OPERATORS = {"and", "or", "not", "True", "False", "None"}


def find(name: Optional[str], tiers: Mapping[str, Tier]) -> Optional[Tier]:
    """Return the tier of that name; None where no tier was asked for.

    Raises:
        UsageError: There is no such tier.
    """
    if not name:
        return None
    if name not in tiers:
        known = ", ".join(sorted(tiers))
        what = f"there is no tier {name!r}"
        raise UsageError(what, f"Known tiers: {known}.", where="--torchproof-tier")
    return tiers[name]


def both(first: str, second: str) -> str:
    """Join two marker expressions so that a test must satisfy both."""
    parts = [part for part in (first.strip(), second.strip()) if part]
    return parts[0] if len(parts) == 1 else " and ".join(f"({part})" for part in parts)


def markers(expression: str) -> list[str]:
    """Return the markers that an expression names, in order, each once."""
    words = _WORD.findall(_CALL.sub("", expression))
    return [word for word in dict.fromkeys(words) if word not in _OPERATORS]


def registrations(tiers: Mapping[str, Tier], registered: list[str]) -> list[str]:
    """Return the lines for pytest's ``markers`` setting that the tiers need.

    Args:
        tiers: All tiers, selected or not: a test may carry the marker of any of them.
        registered: The lines that pytest has; what they declare is the user's.
    """
    known = {re.split(r"[:(]", line, maxsplit=1)[0].strip() for line in registered}
    needed = dict.fromkeys(name for tier in tiers.values() for name in markers(tier.markers))
    return [
        f"{name}: {_MEANING.get(name, 'named by a tier')}" for name in needed if name not in known
    ]


def nothing_selected(tier: Optional[Tier], expression: str, exit_code: int) -> Optional[str]:
    """Return the sentence for a tier that found no test, None if it found some."""
    if tier is None or exit_code != NO_TESTS:
        return None
    found = f"-m {expression!r} selects no test" if expression else "there is no test"
    return f"tier {tier.name}: {found}"
