"""Inputs as a reader can see them: text as it is, an image in block characters, else a summary."""

from __future__ import annotations

import math
from typing import Any

from torchproof.behaviour.predictions import words


MAX_COLUMNS = 32
MAX_ROWS = 16
MAX_PIXELS = 4_194_304
MIN_SIDE = 4
MAX_VALUES = 16
MAX_TEXT = 600

_SHADES = " ░▒▓█"
_CHANNELS = (1, 3, 4)
_MATRIX, _IMAGE = 2, 3


def draw(value: Any) -> str:
    """Write an input as text.

    A tensor or array is an image if it has the shape ``(h, w)``, ``(1|3|4, h, w)`` or
    ``(h, w, 1|3|4)`` with sides of at least `MIN_SIDE`; channels are averaged, dark is low.
    """
    shape = tuple(getattr(value, "shape", ()))
    if shape and hasattr(value, "tolist"):
        grid = _grid(value, shape)
        return _shaded(grid) if grid else _summary(value, shape)
    text = value if isinstance(value, str) else words(value)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _grid(value: Any, shape: tuple[int, ...]) -> list[list[float]]:
    """Return an image's brightness, row by row; empty if the shape is not an image's."""
    planes = [value]
    if len(shape) == _IMAGE and shape[0] in _CHANNELS:
        planes = [value[at] for at in range(shape[0])]
    elif len(shape) == _IMAGE and shape[-1] in _CHANNELS:
        planes = [value[..., at] for at in range(shape[-1])]
    sides = tuple(planes[0].shape)
    if len(sides) != _MATRIX or min(sides) < MIN_SIDE or math.prod(shape) > MAX_PIXELS:
        return []
    found = [plane.tolist() for plane in planes]
    if isinstance(found[0][0][0], complex):
        return []
    return [[sum(pixel) / len(found) for pixel in zip(*rows)] for rows in zip(*found)]


def _shaded(grid: list[list[float]]) -> str:
    height, width = len(grid), len(grid[0])
    # A character is twice as high as it is wide.
    columns = min(MAX_COLUMNS, 2 * width)
    rows = max(1, min(MAX_ROWS, round(columns * height / width / 2)))
    small = [[_mean(grid, r, rows, c, columns) for c in range(columns)] for r in range(rows)]
    finite = [pixel for row in small for pixel in row if math.isfinite(pixel)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "\n".join("".join(_shade(pixel, low, high) for pixel in row).rstrip() for row in small)


def _mean(grid: list[list[float]], row: int, rows: int, column: int, columns: int) -> float:
    """Return the mean of the pixels that fall into one character."""
    height, width = len(grid), len(grid[0])
    lines = grid[row * height // rows : max(row * height // rows + 1, (row + 1) * height // rows)]
    left = column * width // columns
    right = max(left + 1, (column + 1) * width // columns)
    pixels = [pixel for line in lines for pixel in line[left:right]]
    return sum(pixels) / len(pixels)


def _shade(pixel: float, low: float, high: float) -> str:
    if not math.isfinite(pixel):
        return "?"
    part = (pixel - low) / (high - low) if high > low else 0.0
    return _SHADES[min(len(_SHADES) - 1, int(part * len(_SHADES)))]


def _summary(value: Any, shape: tuple[int, ...]) -> str:
    size = math.prod(shape)
    if size <= MAX_VALUES:
        return words(value.tolist())
    kind = str(getattr(value, "dtype", "")).replace("torch.", "")
    text = f"{kind} {'×'.join(map(str, shape))}"
    if size > MAX_PIXELS:
        return text
    head = value.reshape(-1)[:MAX_VALUES].tolist()
    return f"{text}: {words(head)}"
