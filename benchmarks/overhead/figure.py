"""Figures: several measurements of one quantity, its target, and the table they make."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FORMATS: dict[str, Callable[[float], str]] = {
    "%": "{:+.1f} %".format,
    "s": "{:.2f} s".format,
    "ms": "{:.2f} ms".format,
    "calls": "{:.0f}".format,
    "MB": "{:.1f} MB".format,
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One quantity; without values it could not be measured, and ``note`` says why.

    ``most`` is the target; None stands for a figure that is only shown. What is held against it is
    the median of the values, or ``best`` where that is a better estimate. The unit is one of ``%``,
    ``s``, ``ms``, ``calls`` and ``MB`` (10⁶ bytes).
    """

    what: str
    unit: str
    values: tuple[float, ...] = ()
    best: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def value(self) -> float | None:
        """The one number to quote; None without a measurement."""
        if self.best is not None or not self.values:
            return self.best
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or a measurement."""
        if self.most is None or self.value is None:
            return None
        return self.value <= self.most

    def row(self) -> tuple[str, str, str, str]:
        """Say the figure in words: what, measured, target, met."""
        show = _FORMATS[self.unit]
        target = f"≤ {show(self.most).lstrip('+')}" if self.most is not None else ""
        met = {True: "yes", False: "no", None: ""}[self.met]
        return self.what, self._measured(), target, met

    def document(self) -> dict[str, Any]:
        """Return the figure for JSON."""
        return {**asdict(self), "value": self.value, "met": self.met}

    def _measured(self) -> str:
        show = _FORMATS[self.unit]
        if self.value is None:
            return f"not measured: {self.note}"
        if len(self.values) <= 1:
            return show(self.value)
        spread = [show(number) for number in (min(self.values), median(self.values))]
        spread = spread[: 1 if self.best is None else 2]
        return f"{show(self.value)} ({' … '.join([*spread, show(max(self.values))])})"


def table(figures: Sequence[Figure]) -> str:
    """Write figures as a Markdown table.

    Several values are shown as ``median (min … max)``, with a better estimate as
    ``best (min … median … max)``.
    """
    head = ("figure", "measured", "target", "met")
    rows = [head, ("---",) * len(head), *(figure.row() for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
