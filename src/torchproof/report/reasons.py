"""The sentences under the table: because of what a number moved, and what deciding it has cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.report.labels import label
from torchproof.report.phrase import Name, Phrase, count, listed
from torchproof.settings import FINGERPRINT
from torchproof.verdict.cause import cause, is_code


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torchproof.record import Record
    from torchproof.report.labels import Labels
    from torchproof.verdict import Row, Verdict
    from torchproof.verdict.cause import Cause

MOST = 3
_SAME = ("data", "environment", "hardware", "architecture")


def because(
    verdict: Verdict,
    head: Sequence[Record],
    base: Sequence[Record],
    changed_files: Sequence[str] | None,
) -> Phrase:
    """Say what differs from the baseline where a number moved, likeliest cause first."""
    tiers = {row.tier for row in verdict.rows if row.moved} & {*verdict.compared}
    wanted = {*tiers, *(tier + FINGERPRINT for tier in tiers)}
    now, before = ([run for run in runs if run.tier in wanted] for runs in (head, base))
    if not tiers:
        return ()
    causes = cause(now, before, changed_files)
    if causes:
        lead = "What differs from the baseline, likeliest cause first: "
        return (lead, *listed([_one(each) for each in causes], len(causes)), *_same(causes, now))
    if changed_files is None:
        return ()
    return ("Nothing that is recorded differs from the baseline: run the baseline again here.",)


def spending(rows: Sequence[Row], names: Labels, spent: Mapping[str, int]) -> Iterator[Phrase]:
    """Say for each tier what its further runs were spent on, and whether they decided it."""
    for tier, runs in spent.items():
        decided = [row for row in rows if row.tier == tier and row.runs]
        if decided:
            total = count(max(row.runs for row in decided), "run")
            still = any(row.state == "undecided" for row in decided)
            end = f"still undecided after {total}" if still else f"decided after {total}"
            were = f"; {runs} of them {'was' if runs == 1 else 'were'} spent because "
            moved = listed([label(row, names) for row in decided], MOST)
            more = " Raise max-seeds to let it run on." if still else ""
            why = f" moved, which one run cannot tell from noise.{more}"
            yield (Name(tier), f" {end}{were}", *moved, why)


def _one(found: Cause) -> Phrase:
    items = listed([(Name(item),) for item in found.items], MOST)
    return (f"{found.kind} (", *items, f"{_proof(found)})")


def _proof(found: Cause) -> str:
    if found.kind != "code":
        return ""
    if found.proven is not None:
        return ", reaches training" if found.proven else ", does not reach training"
    return "" if any(map(is_code, found.items)) else ", tests and texts only"


def _same(causes: Sequence[Cause], head: Sequence[Record]) -> Phrase:
    """Name what is recorded and the same on both sides."""
    known = [kind for kind in _SAME if any(run.fingerprint.get(kind) for run in head)]
    same = [kind for kind in known if kind not in {each.kind for each in causes}]
    if not same:
        return (".",)
    verb = "is" if len(same) == 1 else "are"
    return ("; the same ", verb, " ", *listed([(kind,) for kind in same], len(same)), ".")
