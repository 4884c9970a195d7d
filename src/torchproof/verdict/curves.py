"""Curves: the loss of an overfit run against the baseline's.

There is no threshold that suits every model, so a curve is compared with the model's own. What is
exact is decided: a loss that is not finite, a run that failed its test, a curve that is bit-equal,
a batch that was learnt before and is not now. Any other change is undecided.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from torchproof.record import FAILED
from torchproof.verdict.model import Row
from torchproof.verdict.numbers import spell
from torchproof.verdict.outcomes import outcomes


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torchproof.record import Curve, Outcome, Record
    from torchproof.verdict.model import Tier

Key = tuple[str, str]


def rows(tier: Tier) -> Iterable[Row]:
    """Judge every curve of the head, and every one of the baseline that is not there any more."""
    head, base = by_key(tier.head), by_key(tier.base)
    ends = outcomes(tier.head)
    for key, curves in head.items():
        yield _judged(tier, curves, base.get(key, ()), ends.get(key[0]))
    for key, curves in base.items():
        if key not in head:
            yield _vanished(tier, curves[0], ends.get(key[0]))


def by_key(records: Sequence[Record]) -> dict[Key, tuple[Curve, ...]]:
    """Return the curves by test and name, those of several runs together."""
    found: dict[Key, tuple[Curve, ...]] = {}
    for record in records:
        for curve in record.curves:
            key = (curve.test, curve.name)
            found[key] = (*found.get(key, ()), curve)
    return found


def first_odd(curve: Curve) -> int | None:
    """Return the first step whose loss is not finite, counted from 0, or None."""
    return next((i for i, value in enumerate(curve.values) if not math.isfinite(value)), None)


def _judged(
    tier: Tier, head: tuple[Curve, ...], base: tuple[Curve, ...], end: Outcome | None
) -> Row:
    worst = min(head, key=lambda curve: (first_odd(curve) is None, curve.converged))
    row = _row(tier, worst, now=_spell(worst))
    if base:
        row = replace(row, before=_spell(_partner(worst, base)))
    odd = first_odd(worst)
    if odd is not None:
        return replace(row, state="failed", why=f"the loss is not finite at step {odd}")
    if not worst.converged and end is not None and end.outcome in FAILED:
        return replace(row, state="failed", message=worst.reason or end.message)
    if not base:
        return row
    if tier.differences:
        return replace(row, state="not-comparable", message="; ".join(tier.differences))
    return _against(row, head, base)


def _against(row: Row, head: tuple[Curve, ...], base: tuple[Curve, ...]) -> Row:
    learnt, before = all(c.converged for c in head), all(c.converged for c in base)
    if before and not learnt:
        return replace(row, state="worse", why="the batch was learnt before and is not now")
    if all(curve.values == _partner(curve, base).values for curve in head):
        return replace(row, state="same", why="bit-equal: training did not change")
    if learnt and not any(c.converged for c in base):
        return replace(row, state="better", why="the batch is learnt now and was not before")
    step = min(_first_difference(curve, _partner(curve, base)) for curve in head)
    why = f"training differs from step {step} on; one run cannot tell whether for the worse"
    return replace(row, state="undecided", why=why)


def _vanished(tier: Tier, curve: Curve, end: Outcome | None) -> Row:
    row = replace(_row(tier, curve, now="missing"), before=_spell(curve))
    died = any(record.state != "complete" for record in tier.head)
    if died or (end is not None and end.outcome in (*FAILED, "not-run")):
        return replace(row, state="not-run", why="its test did not come to an end")
    why = "its test is gone" if end is None else "the test no longer records it"
    return replace(row, state="failed", why=why)


def _partner(curve: Curve, others: Sequence[Curve]) -> Curve:
    """Return the other side's curve of the same seed, or its first."""
    return next((other for other in others if other.seed == curve.seed), others[0])


def _first_difference(first: Curve, second: Curve) -> int:
    pairs = enumerate(zip(first.values, second.values, strict=False))
    shorter = min(len(first.values), len(second.values))
    return next((step for step, (one, two) in pairs if one != two), shorter)


def _row(tier: Tier, curve: Curve, now: str) -> Row:
    return Row(
        kind="curve",
        tier=tier.name,
        name=curve.name,
        state="shown",
        now=now,
        test=curve.test,
        check=f"{tier.name}:{curve.test}",
    )


def _spell(curve: Curve) -> str:
    last = spell(curve.values[-1]) if curve.values else "nothing"
    return f"{last} @ {curve.steps or len(curve.values)} steps"
