"""JSON from an untrusted hand: strict, bounded, and one error for whatever is wrong.

The standard parser accepts NaN, ``1e999``, duplicate keys, UTF-16 and lone surrogates, fails with
RecursionError on deep nesting and takes seconds for huge integers. Each is refused here, before or
while parsing.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from torchproof.errors import RecordError


MAX_DEPTH = 8
MAX_DIGITS = 40

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")


def parse(data: bytes, *, limit: int) -> Any:
    """Parse at most ``limit`` bytes of strict UTF-8 JSON.

    Raises:
        RecordError: The text is too long, too deep, not JSON, or holds what JSON cannot say.
    """
    if len(data) > limit:
        raise RecordError(f"the JSON text has {len(data)} bytes, more than {limit}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordError("the text is not UTF-8") from error
    _refuse_depth(text)
    try:
        value = json.loads(
            text,
            parse_float=_finite,
            parse_int=_short,
            parse_constant=_no_constant,
            object_pairs_hook=_unique,
        )
    except json.JSONDecodeError as error:
        raise RecordError(f"the text is not JSON ({error.msg}, line {error.lineno})") from error
    _refuse_surrogates(value)
    return value


def spell(value: Any) -> Any:
    """Replace every number that JSON has no word for by its name: nan, inf, -inf."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {str(key): spell(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [spell(item) for item in value]
    return value


def number(value: Any) -> float:
    """Read a number written by `spell`.

    Raises:
        RecordError: The value is neither a number nor the name of one.
    """
    if value in ("nan", "inf", "-inf"):
        return float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise RecordError(f"a number was expected, not {value!r:.40}")


def _refuse_depth(text: str) -> None:
    depth = 0
    for bracket in _BRACKETS.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise RecordError(f"the JSON text is nested deeper than {MAX_DEPTH}")


def _finite(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise RecordError(f"the number {literal:.20} is too large")
    return value


def _short(literal: str) -> int:
    if len(literal) > MAX_DIGITS:
        raise RecordError(f"an integer has more than {MAX_DIGITS} digits")
    return int(literal)


def _no_constant(literal: str) -> None:
    raise RecordError(f"{literal} is not JSON; write it as a string")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise RecordError("an object has the same key twice")
    return value


def _refuse_surrogates(value: Any) -> None:
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise RecordError("a text holds a NUL or half a character")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_surrogates(key)
            _refuse_surrogates(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_surrogates(item)
