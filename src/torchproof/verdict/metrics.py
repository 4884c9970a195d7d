"""Metrics: head against baseline by direction, unit and tolerance.

A number that is not finite, missing or vanished is a failure and never "no change". With a
tolerance the means of both sides' runs are compared; without one the noise of main's stored runs
decides (`torchproof.verdict.decide`), and where there are none a change stays undecided: one run
cannot tell it from noise. Times and throughputs are shown and never compared.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torchproof.record import FAILED, PASSED
from torchproof.verdict.comparable import is_time
from torchproof.verdict.model import Row
from torchproof.verdict.numbers import allowance, mean, relative, spell, spell_apart
from torchproof.verdict.outcomes import outcomes
from torchproof.verdict.settled import settled


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torchproof.record import Metric, Outcome, Record
    from torchproof.verdict.model import Tier

_ROUNDING = 1e-9


@dataclass(frozen=True)
class _Series:
    """One metric's values from so many runs; the last one says unit, direction and tolerance."""

    metric: Metric
    values: tuple[float, ...]
    runs: int

    @property
    def mean(self) -> float:
        return mean(list(self.values))

    @property
    def odd(self) -> list[float]:
        return [value for value in self.values if not math.isfinite(value)]


def rows(tier: Tier) -> Iterable[Row]:
    """Judge every metric of the head, and every one of the baseline that is not there any more."""
    head, base = _series(tier.head), _series(tier.base)
    ends = outcomes(tier.head)
    passes = Counter(end.test for run in tier.head for end in run.outcomes if end.outcome in PASSED)
    for key, series in head.items():
        missing = passes[key[0]] - series.runs
        yield _judged(tier, series, base.get(key), missing)
    for key, series in base.items():
        if key not in head:
            yield _vanished(tier, series, ends.get(series.metric.test))


def _series(records: Sequence[Record]) -> dict[tuple[str, str], _Series]:
    found: dict[tuple[str, str], list[tuple[int, Metric]]] = {}
    for run, record in enumerate(records):
        for metric in record.metrics:
            found.setdefault((metric.test, metric.name), []).append((run, metric))
    return {
        key: _Series(
            metric=items[-1][1],
            values=tuple(metric.value for _, metric in items),
            runs=len({run for run, _ in items}),
        )
        for key, items in found.items()
    }


def _judged(tier: Tier, head: _Series, base: _Series | None, missing: int) -> Row:
    row = _row(tier, head.metric, now=_spell(head))
    broken = _broken(tier, head, base, missing)
    if broken:
        before = _spell(base) if base else ""
        return _decided(replace(row, before=before, message=broken[1]), "failed", broken[0])
    if base is None:
        judged = head.metric.better and not is_time(head.metric.unit)
        return replace(row, state="new" if judged and tier.base else "shown")
    return _against(replace(row, before=_spell(base)), tier, head, base)


def _against(row: Row, tier: Tier, head: _Series, base: _Series) -> Row:
    """Judge two series of finite numbers of the same unit and direction."""
    metric = head.metric
    if base.odd:
        return _decided(row, "fixed", "")
    row = _spelled(row, head, base)
    if is_time(metric.unit):
        return replace(row, why="times are not compared between runs")
    if metric.better is None:
        return row
    if tier.differences:
        return _decided(replace(row, message="; ".join(tier.differences)), "not-comparable", "")
    return _by_noise_or_tolerance(row, tier, head, base)


def _by_noise_or_tolerance(row: Row, tier: Tier, head: _Series, base: _Series) -> Row:
    decision = tier.decisions.get(("metric", head.metric.test, head.metric.name))
    if decision:
        return settled(row, head.metric, decision)
    tolerance = tier.tolerance if head.metric.tolerance is None else head.metric.tolerance
    if tolerance is None:
        return _without_tolerance(row, head, base)
    return _within(row, head, base, tolerance)


def _broken(
    tier: Tier, head: _Series, base: _Series | None, missing: int
) -> tuple[str, str] | None:
    """Return why a metric fails whatever its value, in our words and the record's, or None."""
    if head.odd:
        several = f" in {len(head.odd)} of {len(head.values)} runs" if len(head.values) > 1 else ""
        return f"{'not a number' if math.isnan(head.odd[0]) else 'not finite'}{several}", ""
    if missing > 0:
        return f"missing in {missing} of {len(tier.head)} runs although the test passed", ""
    if base is None:
        return None
    if head.metric.unit != base.metric.unit:
        return "its unit changed", f"{base.metric.unit or 'none'} → {head.metric.unit or 'none'}"
    if head.metric.better != base.metric.better:
        before, now = base.metric.better or "none", head.metric.better or "none"
        return f"its direction changed: {before} → {now}", ""
    return None


def _without_tolerance(row: Row, head: _Series, base: _Series) -> Row:
    if head.mean == base.mean:
        return _decided(row, "same", row.why)
    way = "higher" if head.mean > base.mean else "lower"
    good = "better" if way == head.metric.better else "worse"
    why = f"{_size(head, base) or way}, which is {good}; {_runs(head)} cannot tell this from noise"
    return _decided(row, "undecided", f"{why}; set tolerance= to decide")


def _within(row: Row, head: _Series, base: _Series, tolerance: float | str) -> Row:
    try:
        allowed = allowance(tolerance, base.mean)
    except ValueError:
        row = replace(row, message=str(tolerance), remedy='Write a number, or "2%".')
        return _decided(row, "failed", "its tolerance cannot be read:")
    sign = 1 if head.metric.better == "higher" else -1
    slack = _ROUNDING * max(abs(head.mean), abs(base.mean))
    gain = sign * (head.mean - base.mean)
    limit = f"{'≥' if sign > 0 else '≤'}{spell(base.mean - sign * allowed, head.metric.unit)}"
    state = "worse" if gain < -allowed - slack else "better" if gain > allowed + slack else "same"
    size = "" if state == "same" else _size(head, base)
    why = "; ".join(filter(None, (size, row.why, _moved(head, base))))
    return replace(_decided(row, state, why), limit=limit)


def _size(head: _Series, base: _Series) -> str:
    return relative(head.mean - base.mean, base.mean)


def _change(head: _Series, base: _Series) -> float:
    """Return the change relative to the base; without bounds where the base is 0."""
    if head.mean == base.mean:
        return 0.0
    return (head.mean - base.mean) / abs(base.mean) if base.mean else math.inf


def _moved(head: _Series, base: _Series) -> str:
    """Say that the change itself moved the tolerance it is judged by."""
    before, now = base.metric.tolerance, head.metric.tolerance
    return "" if before is None or before == now else "this change also changes the tolerance"


def _vanished(tier: Tier, base: _Series, end: Outcome | None) -> Row:
    row = replace(_row(tier, base.metric, now="missing"), before=_spell(base))
    if end is not None and end.outcome in (*FAILED, "not-run"):
        return replace(row, state="not-run", why="its test did not come to an end")
    if any(record.state != "complete" for record in tier.head):
        return replace(row, state="not-run", why="the run did not come to an end")
    if end is None:
        return _decided(row, "failed", "its test is gone")
    why = "its test is skipped" if end.outcome == "skipped" else "the test no longer records it"
    return _decided(row, "failed", why)


def _row(tier: Tier, metric: Metric, now: str) -> Row:
    return Row(
        kind="metric",
        tier=tier.name,
        name=metric.name,
        state="shown",
        now=now,
        unit=metric.unit,
        test=metric.test,
    )


def _decided(row: Row, state: str, why: str) -> Row:
    return replace(row, state=state, why=why, check=f"{row.tier}:{row.test}:{row.name}")


def _spelled(row: Row, head: _Series, base: _Series) -> Row:
    before, now = spell_apart(base.mean, head.mean, head.metric.unit)
    several = max(len(head.values), len(base.values)) > 1
    why = f"mean of {_runs(head)} against {_runs(base)}" if several else ""
    return replace(row, before=before, now=now, why=why, size=abs(_change(head, base)))


def _runs(series: _Series) -> str:
    return "one run" if len(series.values) == 1 else f"{len(series.values)} runs"


def _spell(series: _Series) -> str:
    value = series.odd[0] if series.odd else series.mean
    return spell(value, series.metric.unit)
