"""Numbers as people read them, and what a tolerance allows."""

from __future__ import annotations

import math

from torchproof.settings import parse_tolerance


UNITLESS = ("", "1", "ratio", "fraction")
_BYTES = ("B", "byte", "bytes")
_PREFIXES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DIGITS = 4
_MOST = 13  # further digits are rounding errors of a mean
_LARGE = 1e15


def allowance(tolerance: float | str, base: float) -> float:
    """Return a tolerance as a number in the metric's unit.

    Args:
        tolerance: A number, or a text like ``2%``: relative to the base.
        base: The baseline's value.

    Raises:
        ValueError: The tolerance is neither.
    """
    parsed = parse_tolerance(tolerance)
    if isinstance(parsed, str):
        return float(parsed.removesuffix("%")) / 100 * abs(base)
    return float(parsed)


def spell(value: float, unit: str = "", digits: int = _DIGITS) -> str:
    """Write a number with its unit: ``0.9312``, ``12.3 ms``, ``6.1 GiB``, ``nan``."""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if unit in _BYTES:
        return _spell_bytes(value, digits)
    text = _plain(value, digits)
    if unit == "%":
        return f"{text}%"
    return text if unit in UNITLESS else f"{text} {unit}"


def spell_apart(first: float, second: float, unit: str = "") -> tuple[str, str]:
    """Write two numbers with as many digits as it takes to tell them apart, at most `_MOST`."""
    for digits in range(_DIGITS, _MOST):
        pair = spell(first, unit, digits), spell(second, unit, digits)
        if pair[0] != pair[1]:
            return pair
    return spell(first, unit), spell(second, unit)


def rounded(value: float, scale: float, digits: int) -> str:
    """Write a number with as many decimals as show ``digits`` digits of ``scale``."""
    if not math.isfinite(value) or not scale or not math.isfinite(scale):
        return spell(value)
    decimals = digits - 1 - math.floor(math.log10(scale))
    if abs(decimals) > _MOST:
        return spell(value, digits=digits)
    nearest = round(value, decimals)
    return f"{nearest:.{max(decimals, 0)}f}" if nearest else "0"


def relative(change: float, base: float) -> str:
    """Write a change in percent of the base: ``5.6 % lower``; empty where the base is 0."""
    if base == 0:
        return ""
    percent = abs(change / base) * 100
    text = f"{percent:.2g}" if percent < 100 else f"{percent:.0f}"  # noqa: PLR2004 - per cent
    return f"{text} % {'higher' if change > 0 else 'lower'}"


def mean(values: list[float]) -> float:
    """Return the mean; of equal values exactly that value."""
    # Divided first, as the sum of large numbers may have no float.
    same = len(set(values)) == 1
    return values[0] if same else math.fsum(value / len(values) for value in values)


def _plain(value: float, digits: int) -> str:
    if abs(value) >= _LARGE:
        return f"{value:.{digits}g}"
    if value == int(value):
        return str(int(value))
    return f"{value:.{max(digits, len(str(int(abs(value)))))}g}"


def _spell_bytes(value: float, digits: int) -> str:
    power = min(int(math.log(max(abs(value), 1), 1024)), len(_PREFIXES) - 1)
    text = f"{value / 1024**power:.{max(digits - 1, 1)}g}"
    return f"{text} {_PREFIXES[power]}"
