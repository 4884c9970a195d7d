"""The verdict: one head against one baseline and the stored runs of main, row by row."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from torchproof.verdict import curves, findings, metrics, outcomes, runs
from torchproof.verdict.comparable import differences
from torchproof.verdict.decide import decide
from torchproof.verdict.model import GATING, KINDS, STATES, Row, Tier, Verdict, Waiting
from torchproof.verdict.settled import settled_curve


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torchproof.record import Record

_RESULTS = {"failed": "failing", "worse": "failing"}
_RESULTS |= {"undecided": "undecided", "not-comparable": "not-comparable"}


def judge(
    head: Sequence[Record],
    base: Sequence[Record],
    *,
    further: Sequence[Record] = (),
    stored: Sequence[Record] = (),
    waiting: Sequence[Waiting] = (),
    refused: Sequence[Waiting] = (),
    unchanged: Sequence[Waiting] = (),
    tolerance: float | str | None = None,
) -> Verdict:
    """Judge the runs of a head against those of its baseline.

    Args:
        head: One record a tier and seed.
        base: The baseline's records, empty where there is none. Only tiers that the head ran too
            are compared.
        further: Runs of the head with further seeds, made to decide what was undecided.
        stored: Runs of main up to the baseline, oldest first: they show the noise.
        waiting: Tiers that run elsewhere and are not back yet.
        refused: Tiers that will not run here, and why.
        unchanged: Tiers that need not run: the baseline's results stand for them.
        tolerance: Of metrics that name none: absolute, or a text like ``2%``. None lets the noise
            of the stored runs decide.
    """
    tiers = [
        _with_noise(replace(tier, tolerance=tolerance), further, stored)
        for tier in _tiers(head, base)
    ]
    ran = any(record.outcomes for record in head)
    rows = list(chain.from_iterable(_rows(tier, others_ran=ran) for tier in tiers))
    rows += runs.waiting_rows(waiting, refused, unchanged)
    if not head and not waiting and not refused and not unchanged:
        rows.append(runs.nothing_ran())
    gates = any(row.state in GATING for row in rows)
    return Verdict(
        rows=tuple(sorted(rows, key=partial(_order, tiers=[tier.name for tier in tiers]))),
        counts=Counter(row.state for row in rows),
        checks=_checks(rows),
        compared=(
            *(tier.name for tier in tiers if tier.base),
            *(tier.tier for tier in unchanged),
        ),
        differences={tier.name: tier.differences for tier in tiers if tier.differences},
        # A change that fails already must be made again: its other metrics can wait.
        wanted={} if gates else _wanted(tiers),
        partners=_partners(tiers),
    )


def _tiers(head: Sequence[Record], base: Sequence[Record]) -> list[Tier]:
    tiers = []
    for name in dict.fromkeys(record.tier for record in head):
        now = tuple(record for record in head if record.tier == name)
        before = _of_same_seeds(now, [record for record in base if record.tier == name])
        different = differences(now, before) if before else ()
        tiers.append(Tier(name=name, head=now, base=before, differences=different))
    return tiers


def _with_noise(tier: Tier, further: Sequence[Record], stored: Sequence[Record]) -> Tier:
    """Add the runs that noise is decided by, and what they say."""
    tier = replace(
        tier,
        further=tuple(record for record in further if record.tier == tier.name),
        stored=tuple(
            record
            for record in stored
            if record.tier == tier.name and not differences(tier.head, [record])
        ),
    )
    return replace(tier, decisions=decide(tier))


def _wanted(tiers: Sequence[Tier]) -> Mapping[str, int]:
    """Return by tier the fewest runs that could decide something."""
    more = {
        tier.name: [each.more for each in tier.decisions.values() if each.more] for tier in tiers
    }
    return {name: min(some) for name, some in more.items() if some}


def _partners(tiers: Sequence[Tier]) -> Mapping[str, tuple[int, ...]]:
    """Return by tier main's seeds that all its metrics that are paired have, newest first."""
    paired = {
        tier.name: [each.seeds for each in tier.decisions.values() if each.seeds] for tier in tiers
    }
    return {
        name: tuple(seed for seed in first if all(seed in other for other in others))
        for name, (first, *others) in ((name, some) for name, some in paired.items() if some)
    }


def _of_same_seeds(head: Sequence[Record], base: Sequence[Record]) -> tuple[Record, ...]:
    """Keep the baseline's runs of the head's seeds, or all where none has one of them.

    A nightly run stores further seeds for the same commit, and another seed is another experiment.
    """
    seeds = {record.seed for record in head}
    return tuple(record for record in base if record.seed in seeds) or tuple(base)


def _rows(tier: Tier, *, others_ran: bool) -> Iterable[Row]:
    """Judge a tier; a failed test whose reason has a row of its own does not get a second one."""
    reasons = [*runs.rows(tier, others_ran=others_ran), *findings.rows(tier), *_curves(tier)]
    explained = {row.test for row in reasons if row.state == "failed"}
    failed = {test for test, end in outcomes.outcomes(tier.head).items() if end.outcome == "failed"}
    died = {test for run in tier.head if run.state != "complete" for test in runs.died_in(run)}
    yield from reasons
    yield from outcomes.rows(tier, frozenset((explained & failed) | died))
    yield from metrics.rows(tier)
    yield from findings.leak_rows(tier)


def _curves(tier: Tier) -> Iterable[Row]:
    """Judge curves, and let the noise decide about those that nothing exact decides."""
    for row in curves.rows(tier):
        decision = tier.decisions.get(("curve", row.test, row.name))
        yield settled_curve(row, decision) if decision and row.state == "undecided" else row


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
