"""The arguments of a generator, each refused with one sentence."""

from __future__ import annotations

from typing import Any

from torchproof.errors import UsageError


MAX_ROWS = 10_000_000


def whole(name: str, value: Any, low: int, high: int) -> int:
    """Return a whole number within its bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        what = f"{name} is {value!r:.40}"
        raise UsageError(what, f"Give a whole number from {low:,} to {high:,}.")
    return value


def rows(size: Any) -> int:
    """Return the number of rows."""
    return whole("size", size, 1, MAX_ROWS)


def start(seed: Any) -> int:
    """Return the seed."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"the seed is {seed!r:.40}", "Give an integer that is not negative.")
    return seed


def number(name: str, value: Any, low: float, below: float) -> float:
    """Return a number of at least ``low`` and less than ``below``."""
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not real or not low <= value < below:
        what = f"{name} is {value!r:.40}"
        raise UsageError(what, f"Give a number of at least {low:g} and less than {below:.4g}.")
    return float(value)
