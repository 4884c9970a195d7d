"""A number's row in words: what the runs decided, how sure that is, or what would decide it."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from torchproof.verdict.decide import ALPHA, BETA
from torchproof.verdict.numbers import relative, rounded, spell, spell_apart
from torchproof.verdict.replicates import LEAST


if TYPE_CHECKING:
    from torchproof.record import Metric
    from torchproof.verdict.decide import Decision
    from torchproof.verdict.model import Row

CHANCE = round(100 * (1 - ALPHA - BETA))
_DIGITS = 2


def settled(row: Row, metric: Metric, decision: Decision) -> Row:
    """Give a metric's row the state that the runs decided, with the sentence that says why."""
    runs = len(decision.values) + decision.missing
    row = replace(row, check=f"{row.tier}:{row.test}:{row.name}", runs=runs)
    odd = [value for value in decision.values if not math.isfinite(value)]
    if odd:
        why = f"not finite in {len(odd)} of {len(decision.values)} runs"
        return replace(row, state="failed", now=spell(odd[0]), why=why)
    before, now = spell_apart(*_levels(decision), metric.unit)
    if decision.stored:
        row = replace(row, before=before, now=now, size=abs(_size(decision)))
    state, why = _said(decision, metric.better or "")
    hint = "; or set tolerance= to decide" if decision.obstacle in ("few", "one-seed") else ""
    return replace(row, state=state, why=why + hint)


def settled_curve(row: Row, decision: Decision) -> Row:
    """Do the same for the curve of a batch that was learnt; what is slower does not gate."""
    state, why = _said(decision, "lower")
    before, now = spell_apart(*_levels(decision))
    steps = f"{before} → {now} steps to learn the batch; " if decision.stored else ""
    runs = len(decision.values) + decision.missing
    state = "warning" if state == "worse" else state
    return replace(row, state=state, why=f"{steps}{why}", runs=runs)


def _said(decision: Decision, better: str) -> tuple[str, str]:
    if decision.verdict == "undecided":
        return "undecided", _undecided(decision, better)
    state = "worse" if decision.verdict == "worse" else _not_worse(decision, better)
    return state, _decided(state, decision)


def _levels(decision: Decision) -> tuple[float, float]:
    """Return the medians of main and of the head, which a wild run does not move."""
    now = median(decision.values)
    return (median(decision.stored) if decision.stored else now), now


def _not_worse(decision: Decision, better: str) -> str:
    """Tell ``better``, where all the interval is, from ``same``."""
    low, high = decision.comparison.interval
    return "better" if (low > 0 if better == "higher" else high < 0) else "same"


def _decided(state: str, decision: Decision) -> str:
    compared = decision.comparison
    lead = f"{_change(decision)}; " if state != "same" else ""
    if state == "same" and compared.smallest_detectable > 0:
        lead = f"worse by {_number(compared.smallest_detectable, decision)} is ruled out; "
    return f"{lead}{_interval(decision)} by {_runs(decision)}"


def _undecided(decision: Decision, better: str) -> str:
    compared = decision.comparison
    if decision.obstacle == "few":
        lacking = LEAST - len(decision.stored)
        return (
            f"{_direction(decision, better)}needs {lacking} more {_noun(lacking)} of main, with "
            f"other seeds: {len(decision.stored)} cannot show the noise"
        )
    if decision.obstacle == "one-seed":
        return (
            "needs runs of main with other seeds: those of its one seed lie closer together than "
            "other seeds do"
        )
    if decision.obstacle == "missing":
        return f"missing in {decision.missing} of the further runs, so that nothing can be decided"
    lead = f"{_direction(decision, better)}{_interval(decision)} by {_runs(decision)}; "
    sees = compared.smallest_detectable
    finds = f"smallest detectable {_number(sees, decision)}; " if math.isfinite(sees) else ""
    if not decision.more:
        return f"{lead}{finds}more runs of main could decide"
    return f"{lead}{finds}{decision.more} more {_noun(decision.more)} could decide"


def _direction(decision: Decision, better: str) -> str:
    """Say where the change points to, as ``2 % lower, which is worse; ``."""
    before, now = _levels(decision)
    if before == now:
        return ""
    good = (now > before) == (better == "higher")
    return f"{_change(decision)}, which is {'better' if good else 'worse'}; "


def _change(decision: Decision) -> str:
    before, now = _levels(decision)
    return relative(now - before, before) or ("higher" if now > before else "lower")


def _size(decision: Decision) -> float:
    before, now = _levels(decision)
    if before == now:
        return 0.0
    return (now - before) / abs(before) if before else math.inf


def _interval(decision: Decision) -> str:
    low, high = decision.comparison.interval
    if math.isinf(low) and math.isinf(high):
        return "too few runs for an interval"
    if math.isinf(low) or math.isinf(high):
        end = high if math.isinf(low) else low
        side = "up to" if math.isinf(low) else "from"
        return f"{CHANCE} % interval {side} {_number(end, decision)}"
    if low == high:
        return f"exactly {_number(low, decision)}, without any noise,"
    return f"{CHANCE} % interval {_number(low, decision)} … {_number(high, decision)}"


def _number(value: float, decision: Decision) -> str:
    """Write a change with two digits of the noise."""
    sigma = decision.comparison.sigma
    return rounded(value, sigma if sigma > 0 else abs(value), _DIGITS)


def _runs(decision: Decision) -> str:
    head, base = decision.comparison.runs
    paired = ", paired by seed" if decision.seeds else ""
    return f"{head} {_noun(head)} against {base} of main{paired}"


def _noun(count: int) -> str:
    return "run" if count == 1 else "runs"
