"""The plan's jobs, and further seeds of their tiers while a metric is undecided.

What decides is `torchproof.verdict`, how many runs may be spent `torchproof.plan.more_jobs`; here
the one asks the other until nothing more is to be run. The stored runs of main are read only where
something is undecided, since most changes leave training as it was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torchproof import verdict
from torchproof.history.stored_runs import stored_runs
from torchproof.plan import more_jobs
from torchproof.stages.jobs import open_jobs
from torchproof.verdict.comparable import differences


if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from torchproof.history.baseline import Baseline
    from torchproof.history.store import History
    from torchproof.record import Record
    from torchproof.stages.case import Case
    from torchproof.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What heads are judged against; ``stored`` keeps the runs of main that were read, by tier."""

    case: Case
    history: History | None
    base: Baseline
    stored: dict[str, list[Record]] = field(default_factory=dict)

    def judge(self, head: Sequence[Record], **known: Any) -> Verdict:
        """Judge a head, with the stored runs of main where noise has to decide.

        Args:
            head: All its runs; those with seeds that the plan did not ask for are further ones.
            **known: What `verdict.judge` takes besides.
        """
        asked, further = self.split(head)
        known |= {"further": further, "tolerance": self.case.settings.tolerance}
        judged = verdict.judge(asked, self.base.records, stored=self._flat(), **known)
        unread = {row.tier for row in judged.rows if row.state == "undecided"} - {*self.stored}
        if not unread:
            return judged
        self._read(unread, asked)
        return verdict.judge(asked, self.base.records, stored=self._flat(), **known)

    def split(self, head: Iterable[Record]) -> tuple[list[Record], list[Record]]:
        """Tell the runs that were asked for from those that were spent to decide."""
        seeds = {job.seed for job in self.case.plan.jobs} or {self.case.settings.seed}
        runs = list(head)
        asked = [record for record in runs if record.seed in seeds]
        return asked, [record for record in runs if record.seed not in seeds]

    def spent(self, head: Iterable[Record]) -> Mapping[str, int]:
        """Return by tier how many runs were spent to decide."""
        return Counter(record.tier for record in self.split(head)[1])

    def _flat(self) -> list[Record]:
        return [record for records in self.stored.values() for record in records]

    def _read(self, tiers: Collection[str], head: Sequence[Record]) -> None:
        self.stored.update({tier: [] for tier in tiers})
        if self.history is None or self.base.commit is None:
            return

        def alike(record: Record) -> bool:
            return not differences([run for run in head if run.tier == record.tier], [record])

        with self.case.reporting():
            for record in stored_runs(
                self.history, commit=self.base.commit, tiers=sorted(tiers), alike=alike
            ):
                self.stored[record.tier].append(record)


def run_until_decided(case: Case, bench: Bench) -> list[Record]:
    """Run the plan's jobs, then further seeds until all is decided or the budget is spent."""
    if not case.plan.jobs:
        return []
    with open_jobs(case) as run:
        records = run(case.plan.jobs)
        while True:
            judged = bench.judge(records)
            jobs = more_jobs(
                case.plan,
                [(record.tier, record.seed) for record in records],
                judged.wanted,
                judged.partners,
                most=case.settings.max_seeds,
            )
            if not jobs:
                return records
            records += run(jobs)
