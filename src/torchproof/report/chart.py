"""The overfit loss against the baseline's, as a Mermaid ``xychart-beta``.

Mermaid spreads each line over the whole x axis and has no legend. So both lines get the same number
of points, the last value of the shorter one is held, and the colours are named in the text below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchproof.report.labels import label
from torchproof.verdict.curves import by_key, first_odd


if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchproof.record import Curve, Record
    from torchproof.report.labels import Labels
    from torchproof.report.phrase import Phrase
    from torchproof.verdict import Row

MAX_POINTS = 60
MAX_CHARTS = 3
HEAD, BASE = "#0969da", "#8c959f"

_LOG_FROM = 50.0
_INIT = '%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{palette}"}}}}}}}}%%'


@dataclass(frozen=True)
class Chart:
    """A chart with the sentence that stands under it; ``mermaid`` holds numbers and our words."""

    caption: Phrase
    mermaid: str
    gates: bool = False


def charts(
    rows: Sequence[Row],
    records: Sequence[Record],
    base_records: Sequence[Record],
    names: Labels,
) -> tuple[Chart, ...]:
    """Draw the curves that changed, at most `MAX_CHARTS`; a bit-equal curve needs no picture."""
    drawn: list[Chart] = []
    for row in rows:
        if row.kind == "curve" and row.state != "same" and len(drawn) < MAX_CHARTS:
            now, before = _curves(row, records), _curves(row, base_records)
            if now and (chart := _chart(row, now[0], before[0] if before else None, names)):
                drawn.append(chart)
    return tuple(drawn)


def xychart(
    head: Sequence[float], base: Sequence[float] = (), *, x: str = "step", y: str = "loss"
) -> str:
    """Return the chart of one or two lines of finite numbers, each with one value a step.

    ``x`` and ``y`` are our words for the axes.
    """
    steps = max(len(head), len(base))
    log = _wants_log([*head, *base])
    lines = [_points(line, steps, log=log) for line in (base, head) if line]
    low = min(value for line in lines for value in line)
    high = max(value for line in lines for value in line)
    margin = max((high - low) * 0.05, max(abs(low), abs(high)) * 0.001, 1e-9)
    colours = f"{BASE}, {HEAD}" if base else HEAD
    axis = f"log10 of the {y}" if log else y
    text = [
        _INIT.format(palette=colours),
        "xychart-beta",
        f'    x-axis "{x}" 0 --> {max(steps - 1, 1)}',
        f'    y-axis "{axis}" {_number(low - margin)} --> {_number(high + margin)}',
    ]
    return "\n".join([*text, *(f"    line [{', '.join(map(_number, line))}]" for line in lines)])


def _curves(row: Row, records: Sequence[Record]) -> tuple[Curve, ...]:
    of_tier = [record for record in records if record.tier == row.tier]
    return by_key(of_tier).get((row.test, row.name), ())


def _chart(row: Row, head: Curve, base: Curve | None, names: Labels) -> Chart | None:
    now, before = _finite(head), _finite(base) if base else []
    if not now and not before:
        return None
    caption = [*label(row, names), ": blue is this change", ", grey the baseline" if before else ""]
    odd = first_odd(head)
    if odd is not None:
        caption.append(f"; not finite from step {odd} on")
    elif before and len(now) != len(before):
        caption.append("; the shorter line's last value is held")
    text = xychart(now, before) if now else xychart(before)
    return Chart(tuple(caption), text, gates=row.state in ("failed", "worse"))


def _finite(curve: Curve) -> list[float]:
    odd = first_odd(curve)
    return list(curve.values[:odd])


def _wants_log(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > _LOG_FROM


def _points(line: Sequence[float], steps: int, *, log: bool) -> list[float]:
    values = [math.log10(value) for value in line] if log else list(line)
    count = max(2, min(steps, MAX_POINTS))
    return [_at(values, i * (steps - 1) / (count - 1)) for i in range(count)]


def _at(values: Sequence[float], place: float) -> float:
    """Return the value at a place between two steps, or the last one."""
    step = int(place)
    if step >= len(values) - 1:
        return values[-1]
    return values[step] + (values[step + 1] - values[step]) * (place - step)


def _number(value: float) -> str:
    """Write a number without an exponent, which Mermaid's grammar does not know."""
    return f"{float(f'{value:.5g}'):.12f}".rstrip("0").rstrip(".") or "0"
