"""One model for every surface: what there is to say, before anybody decides how much of it fits."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from torchproof.report.chart import Chart, charts
from torchproof.report.examples import Wrong, wrong
from torchproof.report.headline import compared, data_changed, headline, icon
from torchproof.report.labels import Labels, labels
from torchproof.report.phrase import Name, Phrase, count, visible
from torchproof.report.reasons import because, spending
from torchproof.verdict import GATING, Row, Verdict


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torchproof.record import Record

MAX_NOTES = 10
MAX_TESTS = 5

_TEST_ID = re.compile(r"[\w./][^\n]*\.py(::.*)?")


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the records cannot know.

    Attributes:
        head_sha: The commit the verdict is about.
        tested_sha: The commit that was checked out: for a pull request its merge commit.
        base: The baseline's commit, None where there is none.
        base_why: Why this baseline, or why there is none, as in ``merge-base of main``.
        run_url: The workflow run's page.
        run_number: Grows from run to run of a workflow.
        attempt: Of the run.
        id: The project's directory, which tells this report from others of the pull request.
        notes: Sentences to show as they are, in our words.
        spent: By tier, how many further runs were made to decide its metrics.
        changed_files: Paths that differ between baseline and tested commit; None if unknown.
        fingerprints: The head's fingerprint records.
    """

    head_sha: str
    tested_sha: str = ""
    base: str | None = None
    base_why: str = ""
    run_url: str = ""
    run_number: int = 0
    attempt: int = 1
    id: str = "default"
    notes: tuple[str, ...] = ()
    spent: Mapping[str, int] = field(default_factory=dict)
    changed_files: tuple[str, ...] | None = None
    fingerprints: tuple[Record, ...] = ()

    @property
    def project(self) -> str:
        """The directory, empty for the repository's root."""
        return "" if self.id in ("", ".", "default") else self.id


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One fact of the fingerprint on both sides; ``tiers`` is empty when all agree."""

    name: str
    before: str
    now: str
    tiers: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """True when both sides say it and do not agree."""
        return bool(self.before and self.now) and self.before != self.now


@dataclass(frozen=True, kw_only=True)
class Report:
    """What there is to say about a change.

    Attributes:
        changed: The rows a reader should see, worst first.
        unchanged: Those that are as before.
        shown: What was recorded and is not judged.
        names: How tests and metrics are called.
        facts: Environment and hardware, what differs first.
        commands: How to run it again, one command a line.
        reasons: Because of what numbers moved, and what deciding them has cost.
        examples: What the trained model gets wrong, by capability.
        seconds: What the runs took together.
    """

    verdict: Verdict
    context: Context
    icon: str
    headline: Phrase
    compared: Phrase
    changed: tuple[Row, ...]
    unchanged: tuple[Row, ...]
    shown: tuple[Row, ...]
    names: Labels
    charts: tuple[Chart, ...] = ()
    facts: tuple[Fact, ...] = ()
    commands: tuple[str, ...] = ()
    reasons: tuple[Phrase, ...] = ()
    examples: tuple[Wrong, ...] = ()
    notes: tuple[Phrase, ...] = field(default=())
    seconds: float = 0.0
    gpu_seconds: float = 0.0


def compose(
    verdict: Verdict, records: Sequence[Record], base_records: Sequence[Record], context: Context
) -> Report:
    """Put together what every surface shows; equal arguments give equal texts."""
    unchanged = (row for row in verdict.rows if not row.changed and row.state != "shown")
    names = labels(verdict.rows)
    return Report(
        verdict=verdict,
        context=context,
        icon=icon(verdict),
        headline=headline(
            verdict,
            names,
            context.project,
            other_data=data_changed(verdict, records, base_records),
        ),
        compared=compared(verdict, records, base_records, context),
        changed=_grouped(row for row in verdict.rows if row.changed),
        unchanged=tuple(unchanged),
        shown=tuple(row for row in verdict.rows if row.state == "shown"),
        charts=charts(verdict.rows, records, base_records, names),
        names=names,
        facts=_facts(verdict, records, base_records),
        commands=_commands(verdict, records, context),
        reasons=_reasons(verdict, records, base_records, context),
        examples=wrong(records, {row.test for row in verdict.rows if row.changed}),
        notes=_notes(records, context),
        seconds=sum(record.cost.seconds for record in records),
        gpu_seconds=sum(record.cost.gpu_seconds for record in records),
    )


def _grouped(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Put what is not comparable for the same reason into one row a tier."""
    kept: list[Row] = []
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.state == "not-comparable":
            groups.setdefault((row.tier, row.message), []).append(row)
            if len(groups[row.tier, row.message]) > 1:
                continue
        kept.append(row)
    return tuple(_group(row, groups.get((row.tier, row.message), [])) for row in kept)


def _group(row: Row, group: Sequence[Row]) -> Row:
    if row.state != "not-comparable" or len(group) == 1:
        return row
    names = ", ".join(member.name for member in group)
    return replace(row, kind="run", name=names, before="", now=count(len(group), "number"))


def _facts(
    verdict: Verdict, records: Sequence[Record], base_records: Sequence[Record]
) -> tuple[Fact, ...]:
    tiers: dict[tuple[str, str, str], list[str]] = {}
    for tier in dict.fromkeys(record.tier for record in records):
        now = _fingerprint(records, tier)
        before = _fingerprint(base_records, tier) if tier in verdict.compared else {}
        for name in {**now, **before}:
            tiers.setdefault((name, before.get(name, ""), now.get(name, "")), []).append(tier)
    everywhere = len({record.tier for record in records})
    found = [
        Fact(
            tiers=tuple(where) if len(where) < everywhere else (),
            name=key[0],
            before=key[1],
            now=key[2],
        )
        for key, where in sorted(tiers.items())
    ]
    return tuple(sorted(found, key=lambda fact: not fact.differs))


def _fingerprint(records: Sequence[Record], tier: str) -> Mapping[str, str]:
    """Return environment and hardware of the tier's first run, flat."""
    first = next((record for record in records if record.tier == tier), None)
    kinds = first.fingerprint if first else {}
    return {
        f"{kind} {name}": value
        for kind in ("environment", "hardware", "data")
        for name, value in kinds.get(kind, {}).items()
    }


def _reasons(
    verdict: Verdict, records: Sequence[Record], base_records: Sequence[Record], context: Context
) -> tuple[Phrase, ...]:
    known = [*records, *context.fingerprints]
    cause = because(verdict, known, base_records, context.changed_files)
    cost = spending(verdict.rows, labels(verdict.rows), context.spent)
    return tuple(filter(None, (cause, *cost)))


def _commands(verdict: Verdict, records: Sequence[Record], context: Context) -> tuple[str, ...]:
    """Write the commands that run the failing tests again, or every tier once where none fails."""
    broken = {row.tier for row in verdict.rows if row.state in GATING}
    firsts = {record.tier: record for record in reversed(records)}
    lines = []
    for record in records if broken else reversed(firsts.values()):
        if record.tier in broken or not broken:
            tests = _test_ids(verdict, record.tier)
            options = f"--torchproof-tier {record.tier} --torchproof-seed {record.seed}"
            lines.append(" ".join(["pytest", options, *tests]))
    sha = context.tested_sha or context.head_sha
    checkout = [f"git checkout {sha[:12]}"] if sha and lines else []
    return (*checkout, *dict.fromkeys(lines))


def _test_ids(verdict: Verdict, tier: str) -> list[str]:
    """Return the ids of failing tests, quoted; one that could be read as an option is left out."""
    failing = (row.test for row in verdict.rows if row.tier == tier and row.state in GATING)
    fit = [test for test in dict.fromkeys(failing) if _is_plain(test)]
    return [shlex.quote(test) for test in fit] if len(fit) <= MAX_TESTS else []


def _is_plain(test: str) -> bool:
    return bool(_TEST_ID.fullmatch(test)) and visible(test) == test


def _notes(records: Sequence[Record], context: Context) -> tuple[Phrase, ...]:
    ours: list[Phrase] = [(note,) for note in context.notes]
    theirs: list[Phrase] = [(f"{r.tier}: ", Name(note)) for r in records for note in r.notes]
    return tuple(dict.fromkeys([*ours, *theirs[:MAX_NOTES]]))
