"""The gate: no GPU run for a pull request that leaves training as it is, to the bit.

Where GPU tiers are about to be dispatched, the hosted runner follows their tests for a few steps on
its CPU. A push to the main line stores the fingerprints and dispatches all the same: its runs are
the history that others are compared with. A pull request is compared with its baseline, and tiers
whose training is unchanged are not dispatched. The fingerprints are stored with it, so that the run
on the GPU, which finishes the same comment with the other tiers, comes to the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torchproof import verdict
from torchproof.plan import Job
from torchproof.settings import FINGERPRINT
from torchproof.stages.jobs import open_jobs
from torchproof.verdict import Waiting, unchanged
from torchproof.verdict.unchanged import incomplete, is_fingerprint


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torchproof.history.baseline import Baseline
    from torchproof.record import Record
    from torchproof.stages.case import Case

MAX_TIER = 64  # characters, as the record's schema has it
SHORT = 7


@dataclass(frozen=True, kw_only=True)
class Passage:
    """What the gate lets through: the case with what is left to dispatch, and the answers.

    The baseline's results stand for ``unchanged`` tiers; ``notes`` say every answer in our words.
    """

    case: Case
    unchanged: tuple[Waiting, ...] = ()
    notes: tuple[str, ...] = ()


def fingerprints(case: Case, base: Baseline, fresh: Sequence[Record]) -> list[Record]:
    """Follow the tests of the tiers that would be dispatched, where that can save or serve."""
    tiers = [tier for tier in case.plan.dispatched if _wanted(case, base, tier)]
    if not tiers or (fresh and not verdict.judge(fresh, []).passed):
        return []
    jobs = [Job(tier=tier, seed=case.settings.seed, fingerprint=True) for tier in tiers]
    with open_jobs(case) as run:
        records = run(jobs)
    return [record for record in records if record.state == "complete"]


def split(records: Iterable[Record]) -> tuple[list[Record], list[Record]]:
    """Tell runs from fingerprints."""
    known = list(records)
    runs = [record for record in known if not is_fingerprint(record)]
    return runs, [record for record in known if is_fingerprint(record)]


def compare(case: Case, prints: Sequence[Record], base: Baseline) -> Passage:
    """Ask of every tier that was followed whether its training is unchanged."""
    if case.pull_request is None or not prints:
        return Passage(case=case)
    running = {job.tier for job in case.plan.jobs}
    answers = [
        unchanged(tier, head, _of(base.records, tier + FINGERPRINT), _of(base.records, tier))
        for tier in case.settings.tiers
        if (head := _of(prints, tier + FINGERPRINT))
    ]
    for each in answers:
        about = f" ({each.test})" if each.test else ""
        case.outside.console.say(f"Training of tier {each.tier}: {each.why}{about}.")
    spared = [each for each in answers if each.holds and each.tier not in running]
    names = {each.tier for each in spared}
    left = tuple(tier for tier in case.plan.dispatched if tier not in names)
    return Passage(
        case=replace(case, plan=replace(case.plan, dispatched=left)),
        unchanged=tuple(Waiting(tier=each.tier, why=_sentence(each.why, base)) for each in spared),
        notes=tuple(f"{each.tier}: {_sentence(each.why, base)}." for each in spared)
        + tuple(f"{each.tier}: {each.why}." for each in answers if not each.holds),
    )


def _wanted(case: Case, base: Baseline, tier: str) -> bool:
    """Tell whether a tier's fingerprints are of use: to later changes, or to this one."""
    if not case.settings.gate or len(tier + FINGERPRINT) > MAX_TIER:
        return False
    if case.pull_request is None:
        return case.plan.activity == "push"
    stored = _of(base.records, tier)
    passed = bool(stored) and all(record.passed for record in stored)
    return passed and not any(incomplete(_of(base.records, tier + FINGERPRINT)))


def _of(records: Iterable[Record], tier: str) -> list[Record]:
    return [record for record in records if record.tier == tier]


def _sentence(why: str, base: Baseline) -> str:
    commit = f"baseline's {base.commit[:SHORT]}" if base.commit else "baseline"
    why = why.replace("the baseline", f"the {commit}", 1)
    return f"training unchanged: {why}; no GPU run spent"
