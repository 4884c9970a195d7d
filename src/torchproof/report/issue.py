"""The issue that tells of a regression on main: since when, because of what, and how sure that is.

Its first line after the hub's marker is hidden, too, and keeps what the next night must know: the
commit that the metric is worse since, and the one at which it was back, if it was.
"""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from torchproof.report.chart import xychart
from torchproof.report.markdown import code_block, codespan
from torchproof.report.phrase import count, percent, visible
from torchproof.report.render import environment, sources
from torchproof.verdict.numbers import spell, spell_apart


if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchproof.verdict.moved import Moved

SHOWN = 60
MAX_FACTS = 12
MAX_SUSPECTS = 8
MAX_TITLE = 250
LEVEL = 40

_NONE = "-"
_HIDDEN = re.compile(r"<!-- since (?P<since>[0-9a-f]+) recovered (?P<recovered>[0-9a-f]+|-) -->")
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}")
_CAUSES = {
    "environment": "The environment moved, not the code",
    "data": "The data moved, not the code",
}


@dataclass(frozen=True, kw_only=True)
class Regression:
    """What is known of one metric that is, or was, worse.

    Attributes:
        metric: Its name.
        test: The test that records it.
        tier: Of the test.
        unit: Of the values.
        values: Along the main line, oldest first.
        commits: One for each value.
        since: The first worse value.
        back: The first value at which it was back, None while it is worse.
        sigma: The noise between runs; NaN where nothing is known of it.
        cause: What is to blame.
        suspects: Commits that may be to blame, likeliest first.
        subject: The first line of the likeliest one's message; somebody else's text.
        probability: Of the likeliest commit, or of the cause where that is no commit.
        runs: Fresh runs that were made.
        facts: What differs between then and now, where the code did not.
        good: The last commit that was good for sure.
        mention: The account of the author, empty for no mention.
        run: The number of the workflow's run and its page.
    """

    metric: str
    test: str
    tier: str
    unit: str
    values: tuple[float | None, ...]
    commits: tuple[str, ...]
    since: int
    back: int | None = None
    sigma: float = math.nan
    cause: Literal["code", "environment", "data"] = "code"
    suspects: tuple[str, ...] = ()
    subject: str = ""
    probability: float = math.nan
    runs: int = 0
    facts: tuple[Moved, ...] = ()
    good: str = ""
    mention: str = ""
    run: tuple[int, str] = (0, "")


def issue_title(found: Regression) -> str:
    """Write the issue's title."""
    commit = found.commits[found.since] if found.back is None else found.commits[found.back]
    word = "is worse since" if found.back is None else "is back since"
    return f"{visible(found.metric)[:MAX_TITLE]} {word} {commit[:7]}"


def issue_body(found: Regression) -> str:
    """Write the issue's text, without the hub's marker."""
    template = environment(sources()).get_template("issue.md.j2")
    text = re.sub(r"\n{3,}", "\n\n", template.render(_view(found))).strip()
    back = _NONE if found.back is None else found.commits[found.back]
    return f"<!-- since {found.commits[found.since]} recovered {back} -->\n{text}\n"


def issue_state(body: str) -> tuple[str, str]:
    """Return the commits that a text keeps: worse since, and back since; empty for none."""
    match = _HIDDEN.match(body)
    if match is None:
        return "", ""
    return match["since"], match["recovered"].replace(_NONE, "")


def _view(found: Regression) -> dict[str, Any]:
    before, now = _levels(found)
    back = found.back is not None
    return {
        "icon": "✅" if back else "📉",
        "metric": codespan(found.metric),
        "back": back,
        "before": before,
        "now": now,
        "since": found.commits[found.since],
        "until": found.commits[found.back] if found.back is not None else "",
        "size": _size(found),
        "cause": _CAUSES.get(found.cause, ""),
        "culprit": found.suspects[0] if found.suspects else "",
        "subject": codespan(found.subject) if found.subject else "",
        "percent": "" if math.isnan(found.probability) else percent(found.probability),
        "others": list(found.suspects[1:MAX_SUSPECTS]),
        "facts": [_fact(fact) for fact in found.facts[:MAX_FACTS]],
        "mention": f"@{found.mention}" if _LOGIN.fullmatch(found.mention) else "",
        "chart": _chart(found),
        "test": codespan(found.test),
        "tier": codespan(found.tier),
        "sigma": "" if math.isnan(found.sigma) else spell(found.sigma, found.unit),
        "fresh": count(found.runs, "fresh run") if found.runs else "",
        "command": _command(found),
        "number": found.run[0],
        "url": found.run[1],
    }


def _levels(found: Regression) -> tuple[str, str]:
    """Write the level before, and the one that the metric is at now."""
    before = _level(found.values[max(0, found.since - LEVEL) : found.since])
    now = _level(found.values[found.since if found.back is None else found.back :])
    if before is None or now is None:
        return _spelled(before, found.unit), _spelled(now, found.unit)
    return spell_apart(before, now, found.unit)


def _size(found: Regression) -> str:
    before = _level(found.values[max(0, found.since - LEVEL) : found.since])
    worse = _level(found.values[found.since : found.back])
    if before is None or worse is None or not found.sigma > 0:
        return ""
    return f"{abs(worse - before) / found.sigma:.1f} sigma"


def _spelled(level: float | None, unit: str) -> str:
    return "no number" if level is None else spell(level, unit)


def _level(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return median(finite) if finite else None


def _chart(found: Regression) -> str:
    """Draw the last runs, with the levels before, while and after it was worse."""
    first = max(0, len(found.values) - SHOWN)
    ends = [0, found.since, *([] if found.back is None else [found.back]), len(found.values)]
    drawn, levels = [], []
    for start, end in pairwise(ends):
        level = _level(found.values[max(start, end - LEVEL) : end])
        for value in found.values[max(start, first) : end]:
            if level is not None and value is not None and math.isfinite(value):
                drawn.append(value)
                levels.append(level)
    text = xychart(drawn, levels, x="runs of main", y="value") if len(drawn) > 1 else ""
    return code_block(text, "mermaid") if text else ""


def _fact(fact: Moved) -> str:
    before, now = (codespan(text, 40) if text else "none" for text in (fact.before, fact.now))
    return f"{fact.kind}: {codespan(fact.name, 60)} {before} → {now}"


def _command(found: Regression) -> str:
    words = ["torchproof", "bisect", f"{found.test}::{found.metric}", found.good[:12]]
    words += [found.commits[found.since][:12], "--tier", found.tier]
    return code_block(shlex.join(words), "sh") if found.good else ""
