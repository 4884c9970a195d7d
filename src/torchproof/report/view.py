"""A report as what templates see: texts, lists and dictionaries that are safe Markdown already.

A template, the user's too, may print every text of a view as it is.

==============  ==================================================================
key             holds
==============  ==================================================================
icon, headline  the verdict
compared        what was compared with what, why, and where
rows            table of what changed or failed, worst first: ``head``, ``rows``
reasons         because of what numbers moved, and what deciding them has cost
more            the same for rows after the first `SHOWN`
advice          what to look at, one item a row that has something to say
examples        what the trained model gets wrong, one item a capability
charts          ``text`` (code block) and ``caption`` of each; ``open``
unchanged       table of what is as before, with a ``word`` for it; ``shown`` of what is not judged
environment     table of environment and hardware, what differs first
reproduce       code block with the commands
notes           sentences
totals          how many items each list had before any was left out
gone, left_out  what did not fit: how many of each list, and in words
==============  ==================================================================
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from torchproof.report.budget import words
from torchproof.report.examples import blocks
from torchproof.report.labels import label
from torchproof.report.markdown import code_block, codespan, markdown, prose, table
from torchproof.report.messages import gist, told
from torchproof.verdict import GATING


if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchproof.report.chart import Chart
    from torchproof.report.labels import Labels
    from torchproof.report.model import Fact, Report
    from torchproof.verdict import Row

View = dict[str, Any]

SHOWN = 25
MOST = 4_000  # rows of a list; 1 MiB holds fewer
MAX_FACTS = 60
LONG = 120
PARAGRAPH = "\n\n"

ICONS = {
    "failed": "❌",
    "worse": "❌",
    "undecided": "🟡",
    "not-comparable": "🚧",
    "dropped": "🕳️",
    "skipped": "💤",
    "not-run": "🚫",
    "warning": "⚠️",
    "queued": "⏳",
    "new": "🆕",
    "fixed": "✅",
    "better": "✅",
    "waived": "📝",
    "same": "✔️",
    "passed": "✔️",
    "shown": "•",
}
_HEADER = ("", "check", "base", "now", "limit", "what to look at")


def view(report: Report) -> View:
    """Return all there is to show; `torchproof.report.budget` takes away what does not fit."""
    names = report.names
    advice = [text for row in report.changed[:SHOWN] if (text := _advice(row, names))]
    word = "unchanged" if report.verdict.compared else "passed"
    ends = {"more": report.changed, "unchanged": report.unchanged, "shown": report.shown}
    gone = {name: max(0, len(rows) - MOST) for name, rows in ends.items()}
    lists = {
        "rows": _rows(report.changed[:SHOWN], names),
        "more": _rows(report.changed[SHOWN:MOST], names),
        "advice": {"head": "", "rows": advice},
        "examples": {"head": "", "rows": blocks(report.examples, names)},
        "charts": _charts(report.charts),
        "unchanged": {**_rows(report.unchanged[:MOST], names), "word": word},
        "shown": _rows(report.shown[:MOST], names),
        "environment": _environment(report.facts),
        "notes": {"head": "", "rows": [markdown(note) for note in report.notes]},
    }
    return {
        "icon": report.icon,
        "headline": markdown(report.headline),
        "compared": markdown(report.compared),
        "reasons": [markdown(reason) for reason in report.reasons],
        **lists,
        "reproduce": code_block("\n".join(report.commands), "sh") if report.commands else "",
        "totals": {name: len(lists[name]["rows"]) + gone.get(name, 0) for name in lists},
        "gone": gone,
        "left_out": words(gone),
    }


def _rows(rows: Sequence[Row], names: Labels) -> dict[str, Any]:
    head, lines = table(_HEADER, [_cells(row, names) for row in rows])
    return {"head": head, "rows": lines}


def _cells(row: Row, names: Labels) -> list[str]:
    tier = f"{prose(row.tier)}: " if row.tier else ""
    return [
        f"{ICONS[row.state]}\u00a0{row.state.replace('-', chr(0xA0))}",
        tier + markdown(label(row, names)),
        codespan(row.before) if row.before else "",
        codespan(row.now) if row.now else "",
        codespan(row.limit) if row.limit else "",
        _look(row),
    ]


def _look(row: Row) -> str:
    """Say in one cell why, what and where."""
    where = f"at {codespan(row.location)}" if row.location and row.changed else ""
    message = codespan(gist(row), LONG) if row.message else ""
    return " ".join(filter(None, (prose(row.why), message, where)))


def _advice(row: Row, names: Labels) -> str:
    """Write a row's message, evidence and remedy in full, when the table has no room for them."""
    evidence = [f"{key} = {_value(value)}" for key, value in row.evidence.items()]
    message = told(row)
    long = len(message) > LONG or "\n" in message.strip()
    if not (row.remedy or evidence or long) or row.state not in (*GATING, "warning"):
        return ""
    parts = [message, "\n".join(evidence), row.remedy]
    where = f" at {codespan(row.location)}" if row.location else ""
    title = f"{ICONS[row.state]} {markdown(label(row, names))}{where}"
    return f"{title}\n\n{code_block(PARAGRAPH.join(filter(None, parts)))}"


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return "; ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _charts(charts: Sequence[Chart]) -> dict[str, Any]:
    rows = [
        {"text": f"```mermaid\n{chart.mermaid}\n```", "caption": markdown(chart.caption)}
        for chart in charts
    ]
    return {"head": "", "rows": rows, "open": any(chart.gates for chart in charts)}


def _environment(facts: Sequence[Fact]) -> dict[str, Any]:
    cells = [_fact(fact) for fact in facts[:MAX_FACTS]]
    head, lines = table(("", "only in", "fact", "base", "now"), cells)
    return {"head": head, "rows": lines}


def _fact(fact: Fact) -> list[str]:
    return [
        "≠" if fact.differs else "",
        prose(", ".join(fact.tiers)),
        codespan(fact.name, 60),
        codespan(fact.before) if fact.before and fact.before != fact.now else "",
        codespan(fact.now) if fact.now else "",
    ]
