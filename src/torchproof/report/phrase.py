"""Sentences in which our words and names from a record stay apart until a surface renders them."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAME = 200

_BREAK = re.compile(r"\s*(?:\r\n|\r|\n|\u2028|\u2029)\s*")
_HIDDEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")


class Name(str):
    """A text that somebody else wrote: a test's name, a message, a unit, a path."""

    __slots__ = ()


Phrase = tuple[str, ...]


def plain(phrase: Phrase) -> str:
    """Write a phrase without markup, on one line."""
    return "".join(
        visible(part) if isinstance(part, Name) else "".join(map(shown, part)) for part in phrase
    )


def visible(text: str, limit: int = MAX_NAME) -> str:
    r"""Write a text on one line with nothing in it that a reader cannot see.

    Line breaks become ``⏎``; control, format and unassigned characters become ``\u{202e}``.
    """
    text = _BREAK.sub(" ⏎ ", text[: 4 * limit].strip())
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    # What str.isprintable accepts is what `shown` leaves as it is, so this is only faster.
    return cut if cut.isprintable() else "".join(map(shown, cut))


def shown(letter: str) -> str:
    """Return a character, or its escape where it would not be seen."""
    category = unicodedata.category(letter)
    if category in _HIDDEN and letter != "\t":
        return f"\\u{{{ord(letter):x}}}"
    return " " if category == "Zs" or letter == "\t" else letter


def listed(phrases: Iterable[Phrase], most: int, what: str = "more") -> Phrase:
    """Join phrases as ``a, b and 3 more``."""
    phrases = list(phrases)
    rest = len(phrases) - most
    parts: list[str] = []
    for position, phrase in enumerate(phrases[:most]):
        last = position == len(phrases) - 1
        parts += ["" if position == 0 else " and " if last else ", ", *phrase]
    return (*parts, f" and {rest} {what}") if rest > 0 else tuple(parts)


def count(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun: ``1 check``, ``2 checks``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def percent(probability: float) -> str:
    """Write a probability, never as a certainty: ``97 %``, ``over 99 %``."""
    whole = math.floor(probability * 100)
    return "over 99 %" if whole >= 99 else f"{whole} %"  # noqa: PLR2004 - per cent
