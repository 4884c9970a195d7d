"""The two lines everybody reads: what the verdict is, and what was compared with what."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from torchproof.report.labels import complaint, most_telling
from torchproof.report.phrase import Name, Phrase, count, listed
from torchproof.verdict import GATING
from torchproof.verdict.comparable import fact


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torchproof.record import Record
    from torchproof.report.labels import Labels
    from torchproof.report.model import Context
    from torchproof.verdict import Row, Verdict

NAMED = 2
SHORT = 7

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def icon(verdict: Verdict) -> str:
    """Return the verdict as one character."""
    return "❌" if not verdict.passed else "⏳" if verdict.pending else "✅"


def headline(
    verdict: Verdict, names: Labels, project: str = "", *, other_data: bool = False
) -> Phrase:
    """Say the verdict and the counts, and name what is broken; claims only what is decided.

    Args:
        verdict: What became of the change.
        names: How rows are called.
        project: Its directory, where there are several.
        other_data: Whether the data are not those of the baseline.
    """
    who: Phrase = ("torchproof in ", Name(project), ": ") if project else ("torchproof: ",)
    broken = [row for row in _one_each(verdict.rows) if row.state in GATING]
    data = "data changed" if other_data else ""
    if not broken:
        return (*who, *_all_well(verdict, data))
    failing, total = verdict.checks["failing"], sum(verdict.checks.values())
    verb = "fails" if failing == 1 else "fail"
    lead = f"{failing} of {count(total, 'check')} {verb}: "
    end = f"; {data}" if data else ""
    return (*who, lead, *_named(broken, names), end, *_queued(verdict, "; "))


def data_changed(verdict: Verdict, head: Sequence[Record], base: Sequence[Record]) -> bool:
    """Say whether data that both sides have are of another version, in a tier that was compared."""
    return any(
        _differ(*([run for run in runs if run.tier == tier] for runs in (head, base)))
        for tier in verdict.compared
    )


def compared(
    verdict: Verdict, head: Sequence[Record], base: Sequence[Record], context: Context
) -> Phrase:
    """Say what was compared with what, why that baseline, and whether the places are the same."""
    parts = [_commits(context, based=bool(base))]
    facts = [(Name(text),) for text in _facts(head)]
    if verdict.differences:
        different = dict.fromkeys(d for found in verdict.differences.values() for d in found)
        parts.append(("not comparable: ", *listed([(Name(d),) for d in different], 4)))
    elif facts:
        lead = "same environment: " if verdict.compared else ""
        parts.append((lead, *listed(facts, 8)))
    seeds = sorted({record.seed for record in head})
    if seeds:
        parts.append((f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds[:8]))}",))
    return tuple(word for i, part in enumerate(parts) for word in ((" · ",) if i else ()) + part)


def _named(broken: Sequence[Row], names: Labels) -> Phrase:
    """Name what is broken, and what is said with something else only in the number of the rest."""
    first, again = most_telling(broken)
    phrases = [complaint(row, names) for row in (*first, *again)]
    return listed(phrases, min(NAMED, len(first)))


def _differ(head: Iterable[Record], base: Iterable[Record]) -> bool:
    """Compare versions by name; data that follow the seed have several on each side."""
    now, before = _versions(head), _versions(base)
    return any(not now[name] & before[name] for name in {*now} & {*before})


def _versions(records: Iterable[Record]) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for record in records:
        for name, version in record.fingerprint.get("data", {}).items():
            found[name].add(version)
    return found


def _one_each(rows: Iterable[Row]) -> Iterable[Row]:
    """Keep the first row of each check, as the counts do."""
    seen: set[str] = set()
    for row in rows:
        if row.check not in seen:
            yield row
        seen.update({row.check} - {""})


def _all_well(verdict: Verdict, data: str) -> Phrase:
    checks, counts = verdict.checks, verdict.counts
    passing = count(checks["passing"], "check passes", "checks pass")
    unsettled = verdict.pending or checks["undecided"] or checks["not-comparable"]
    parts = [passing] if checks["passing"] or not unsettled else []
    if checks["undecided"]:
        parts.append(f"{checks['undecided']} undecided")
    if checks["not-comparable"]:
        parts.append(f"{checks['not-comparable']} not comparable")
    if counts.get("dropped"):
        parts.append(count(counts["dropped"], "test dropped", "tests dropped"))
    if counts.get("skipped"):
        parts.append(f"{counts['skipped']} newly skipped")
    parts += filter(None, (_bit_equal(verdict.rows), data))
    if not verdict.compared and checks["passing"]:
        parts.append("no baseline")
    return (", ".join(parts), *_queued(verdict, "; " if parts else ""))


def _bit_equal(rows: Sequence[Row]) -> str:
    """Say that training is unchanged, where each number that tells of it shows this."""
    curves = {(row.state, row.runs) for row in rows if row.kind == "curve"}
    if curves == {("same", 0)}:
        return "overfit run bit-equal to the baseline"
    judged = [row for row in rows if row.kind == "metric" and row.check]
    equal = all((row.state, row.runs, row.size) == ("same", 0, 0) for row in judged)
    by_noise = any(not row.limit for row in judged)
    if curves or not by_noise or not equal:
        return ""
    return "metrics bit-equal to the baseline: no further run"


def _queued(verdict: Verdict, before: str) -> Phrase:
    tiers = [(Name(row.name),) for row in verdict.rows if row.state == "queued"]
    return (before, *listed(tiers, NAMED), " queued") if tiers else ()


def _commits(context: Context, *, based: bool) -> Phrase:
    head: Phrase = (Name(context.head_sha[:SHORT]) or "this run",)
    if context.tested_sha and context.tested_sha != context.head_sha:
        head = (*head, " merged as ", Name(context.tested_sha[:SHORT]))
    why = context.base_why
    if not context.base or not based:
        return (*head, ", no baseline: ", why) if why else (*head, ", no baseline yet")
    because = (" (", why, ")") if why else ()
    return (*head, " against ", Name(_short(context.base)), *because)


def _short(base: str) -> str:
    """Shorten a commit, and no file's name."""
    return base[:SHORT] if _COMMIT.fullmatch(base) else base


def _facts(records: Sequence[Record]) -> list[str]:
    """Return the head's device, torch and Python, each once."""
    found = []
    for kind, key, word in (
        ("hardware", "device", ""),
        ("hardware", "gpu", ""),
        ("environment", "torch", "torch "),
        ("environment", "python", "Python "),
    ):
        found += [f"{word}{value}" for record in records if (value := fact(record, kind, key))]
    return list(dict.fromkeys(found))
