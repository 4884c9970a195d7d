"""An ``xychart-beta`` as an SVG picture, for pages that load no script."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass


WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 16, 44
TICKS = 5

_AXIS = re.compile(r'([xy])-axis "([^"<>&]*)" (-?[\d.]+) --> (-?[\d.]+)')
_LINE = re.compile(r"^\s*line \[([-\d., ]+)\]$", re.MULTILINE)
_PALETTE = re.compile(r'"plotColorPalette": "([#\w, ]+)"')


@dataclass(frozen=True)
class _Axis:
    title: str
    low: float
    high: float

    def place(self, value: float, start: float, length: float) -> float:
        return start + length * (value - self.low) / ((self.high - self.low) or 1)

    def ticks(self) -> list[float]:
        """Return round numbers inside the axis, about `TICKS` of them."""
        rough = ((self.high - self.low) or 1) / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * min((1, 2, 5, 10), key=lambda factor: abs(factor * power - rough))
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, math.floor(self.high / step) + 1)]


def svg(chart: str) -> str:
    """Draw a chart that `torchproof.report.chart` wrote; other text gives an empty picture."""
    axes = {
        found[1]: _Axis(found[2], float(found[3]), float(found[4]))
        for found in _AXIS.finditer(chart)
    }
    if set(axes) != {"x", "y"}:
        return "<svg></svg>"
    palette = _PALETTE.search(chart)
    colours = palette[1].split(", ") if palette else ["currentColor"]
    lines = [[float(value) for value in found[1].split(",")] for found in _LINE.finditer(chart)]
    parts = [*_grid(axes["x"], axes["y"])]
    for i, values in enumerate(lines):
        parts.append(_polyline(values, axes["y"], colours[i % len(colours)]))
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{axes["y"].title}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>'


def _grid(x: _Axis, y: _Axis) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value in y.ticks():
        at = y.place(value, bottom, TOP - bottom)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{right}"/>')
        parts.append(_text(LEFT - 8, at + 4, f"{value:.3g}", "end"))
    for value in x.ticks():
        at = x.place(value, LEFT, right - LEFT)
        parts.append(_text(at, bottom + 18, f"{value:.0f}", "middle"))
    middle = (TOP + bottom) / 2
    parts.append(_text((LEFT + right) / 2, HEIGHT - 6, x.title, "middle"))
    parts.append(_text(14, middle, y.title, "middle", f'transform="rotate(-90 14 {middle})" '))
    return parts


def _text(x: float, y: float, text: str, anchor: str, turn: str = "") -> str:
    return f'<text {turn}x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _polyline(values: list[float], y: _Axis, colour: str) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    step = (right - LEFT) / max(len(values) - 1, 1)
    points = " ".join(
        f"{LEFT + i * step:.1f},{y.place(value, bottom, TOP - bottom):.1f}"
        for i, value in enumerate(values)
    )
    return f'<polyline points="{points}" stroke="{colour}"/>'
