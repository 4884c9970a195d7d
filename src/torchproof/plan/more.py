"""How many further seeds an undecided pull request may run, and which. Pure.

A tier runs further while a metric of it is undecided, by as many runs as could decide one, and not
at all where that does not fit into ``max-seeds``. Pushes and the nightly run spend nothing: what
they leave undecided is decided by `torchproof.verdict.detect` on the history.
"""

from __future__ import annotations

from itertools import count, islice
from types import MappingProxyType
from typing import TYPE_CHECKING

from torchproof.plan.plan import Job


if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torchproof.plan.plan import Plan


def more_jobs(
    plan: Plan,
    ran: Collection[tuple[str, int]],
    wanted: Mapping[str, int],
    partners: Mapping[str, Sequence[int]] = MappingProxyType({}),
    *,
    most: int,
) -> tuple[Job, ...]:
    """Return the jobs to run next, none where all is decided or the budget is spent.

    Args:
        plan: Whose jobs have run.
        ran: Tier and seed of every run so far.
        wanted: By tier, how many more runs could decide something.
        partners: By tier, the only seeds that these runs may take, best first; where none are
            named, any.
        most: Runs of one tier, the first ones included.
    """
    if not _is_of_a_pull_request(plan):
        return ()
    jobs: list[Job] = []
    for first in {job.tier: job for job in reversed(plan.jobs)}.values():
        seeds = {seed for tier, seed in ran if tier == first.tier}
        runs = wanted.get(first.tier, 0)
        if len(seeds) + runs <= most:
            offered = partners.get(first.tier, count(first.seed))
            fresh = [*islice((seed for seed in offered if seed not in seeds), runs)]
            if len(fresh) == runs:
                jobs += (Job(tier=first.tier, seed=seed, gpu=first.gpu) for seed in fresh)
    return tuple(jobs)


def _is_of_a_pull_request(plan: Plan) -> bool:
    if plan.request:
        return plan.request.pull_request is not None
    return plan.activity in ("pull-request", "fork")
