"""The issues about regressions of main: one a metric, opened, kept up to date, closed, reopened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchproof.errors import PermissionMissing
from torchproof.history.series import spelled
from torchproof.report.issue import issue_body, issue_state, issue_title
from torchproof.report.markdown import codespan
from torchproof.verdict.regressions import MOST_OPEN, Standing, State, decide


if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchproof.history.series import Series
    from torchproof.hub.hub import Issue
    from torchproof.report.issue import Regression
    from torchproof.stages.case import Case
    from torchproof.verdict.regressions import Action

_MARKER = "regression"


@dataclass(frozen=True)
class Finding:
    """What the night found out about one metric, by the marker of its issue."""

    marker: str
    state: State
    regression: Regression


def marker(case: Case, found: Series) -> str:
    """Tell a metric's issue from those of other metrics and projects of the repository."""
    project = case.inputs.working_directory.strip("./")
    return f"{_MARKER}:{project}:{found.key.tier}:{spelled(found.key)}"


def list_issues(case: Case) -> list[Issue]:
    """List our issues about regressions; without the permission there are none, which is said."""
    try:
        return [each for each in case.outside.hub.issues() if each.marker.startswith(_MARKER)]
    except PermissionMissing as error:
        case.outside.console.say(f"Issues: {error}")
        return []


def standing(issues: Sequence[Issue]) -> dict[str, Standing]:
    """Return what the issues say, by their markers; of several with one marker, the first."""
    found = {}
    for issue in issues[::-1]:
        since, recovered = issue_state(issue.body)
        found[issue.marker] = Standing(issue.number, issue.marker, issue.open, since, recovered)
    return found


def tell(case: Case, findings: Sequence[Finding]) -> None:
    """Say in the log and in the summary what is worse and what is back."""
    shown = [each.regression for each in findings]
    for each in shown:
        case.outside.console.say(f"{issue_title(each)}.")
    if shown:
        lines = [f"- {codespan(issue_title(each))}" for each in shown]
        case.outside.console.summarise("\n".join(["### Regressions of main", "", *lines, "", ""]))


def keep(case: Case, issues: Sequence[Issue], findings: Sequence[Finding]) -> None:
    """Make the issues say what the night found out.

    Raises:
        HubError: GitHub would not.
    """
    found = {each.marker: each for each in findings}
    states = {each.marker: each.state for each in findings}
    numbered = {issue.number: issue for issue in issues}
    known = standing(issues)
    actions = decide(states, list(known.values()))
    worse = {name for name, state in states.items() if state.since}
    silent = worse - {*known, *(action.metric for action in actions)}
    if silent:
        limit = f"no more than {MOST_OPEN} issues stand open at once"
        case.outside.console.say(f"Issues: {len(silent)} of these metrics have none: {limit}.")
    for action in actions:
        issue = numbered.get(action.number) if action.number is not None else None
        _do(case, action, found[action.metric].regression, issue)


def _do(case: Case, action: Action, regression: Regression, issue: Issue | None) -> None:
    hub, title, body = case.outside.hub, issue_title(regression), issue_body(regression)
    if issue is None:
        issue = hub.open_issue(title, body, marker=action.metric, order=case.order)
    else:
        shown = action.kind != "close"
        issue = hub.edit_issue(issue, title=title, body=body, order=case.order, open_=shown)
    case.outside.console.say(f"Issue #{issue.number} ({action.kind}): {issue.url}")
