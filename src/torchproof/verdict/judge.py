"""The verdict's first form: one head against one baseline, row by row."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from torchproof.verdict import curves, findings, metrics, outcomes, runs
from torchproof.verdict.comparable import differences
from torchproof.verdict.model import GATING, KINDS, STATES, Row, Tier, Verdict, Waiting


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torchproof.record import Record

_RESULTS = {"failed": "failing", "worse": "failing"}
_RESULTS |= {"undecided": "undecided", "not-comparable": "not-comparable"}


def judge(
    head: Sequence[Record],
    base: Sequence[Record],
    *,
    waiting: Sequence[Waiting] = (),
    refused: Sequence[Waiting] = (),
    tolerance: float | str | None = None,
) -> Verdict:
    """Judge the runs of a head against those of its baseline.

    Args:
        head: One record a tier and seed.
        base: The baseline's records, empty where there is none. Only tiers that the head ran too
            are compared.
        waiting: Tiers that run elsewhere and are not back yet.
        refused: Tiers that will not run here, and why.
        tolerance: Of metrics that name none: absolute, or a text like ``2%``. None leaves their
            changes undecided.
    """
    tiers = [replace(tier, tolerance=tolerance) for tier in _tiers(head, base)]
    ran = any(record.outcomes for record in head)
    rows = list(chain.from_iterable(_rows(tier, others_ran=ran) for tier in tiers))
    rows += runs.waiting_rows(waiting, refused)
    if not head and not waiting and not refused:
        rows.append(runs.nothing_ran())
    return Verdict(
        rows=tuple(sorted(rows, key=partial(_order, tiers=[tier.name for tier in tiers]))),
        counts=Counter(row.state for row in rows),
        checks=_checks(rows),
        compared=tuple(tier.name for tier in tiers if tier.base),
        differences={tier.name: tier.differences for tier in tiers if tier.differences},
    )


def _tiers(head: Sequence[Record], base: Sequence[Record]) -> list[Tier]:
    tiers = []
    for name in dict.fromkeys(record.tier for record in head):
        now = tuple(record for record in head if record.tier == name)
        before = _of_same_seeds(now, [record for record in base if record.tier == name])
        different = differences(now, before) if before else ()
        tiers.append(Tier(name=name, head=now, base=before, differences=different))
    return tiers


def _of_same_seeds(head: Sequence[Record], base: Sequence[Record]) -> tuple[Record, ...]:
    """Keep the baseline's runs of the head's seeds, or all where none has one of them.

    A nightly run stores further seeds for the same commit, and another seed is another experiment.
    """
    seeds = {record.seed for record in head}
    return tuple(record for record in base if record.seed in seeds) or tuple(base)


def _rows(tier: Tier, *, others_ran: bool) -> Iterable[Row]:
    """Judge a tier; a failed test whose reason has a row of its own does not get a second one."""
    reasons = [*runs.rows(tier, others_ran=others_ran), *findings.rows(tier), *curves.rows(tier)]
    explained = {row.test for row in reasons if row.state == "failed"}
    failed = {test for test, end in outcomes.outcomes(tier.head).items() if end.outcome == "failed"}
    died = {test for run in tier.head if run.state != "complete" for test in runs.died_in(run)}
    yield from reasons
    yield from outcomes.rows(tier, frozenset((explained & failed) | died))
    yield from metrics.rows(tier)
    yield from findings.leak_rows(tier)


def _checks(rows: Iterable[Row]) -> Mapping[str, int]:
    """Count each check once, by the worst of its rows."""
    worst: dict[str, str] = {}
    ranks = ("failing", "undecided", "not-comparable", "passing")
    for row in rows:
        if row.check:
            result = _RESULTS.get(row.state, "passing")
            worst[row.check] = min(worst.get(row.check, result), result, key=ranks.index)
    return {rank: sum(result == rank for result in worst.values()) for rank in ranks}


def _order(row: Row, tiers: Sequence[str]) -> tuple[object, ...]:
    """Sort by state, what is new before what the baseline had, by kind, size, tier and name."""
    old = row.state in GATING and row.before in (findings.FOUND, "failed", "error")
    kind = KINDS.index(row.kind)
    tier = tiers.index(row.tier) if row.tier in tiers else len(tiers)
    return STATES.index(row.state), old, kind, -row.size, tier, row.test, row.name
