"""The night: is a metric of main worse, is that confirmed, which commit made it so, who is told.

Each metric that the fresh runs speak of is looked at along the main line. What looks worse is run
again, before and after, until that is sure; then the commit is searched. All of it together makes
no more runs than the budget allows. They are stored apart from the runs of main, so that the next
night goes on where this one had to stop, and asks nothing twice.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torchproof import settings
from torchproof.errors import ConfigError, HistoryError, HubError
from torchproof.history import series
from torchproof.history.checkout import Checkout
from torchproof.history.trust import AGAIN
from torchproof.plan import Job
from torchproof.record import Record
from torchproof.report.issue import Regression
from torchproof.run.scratch import give, owner_of
from torchproof.stages import issues as our_issues
from torchproof.stages.alarms import BEFORE, alarm, back, first_of, noise, suspects
from torchproof.stages.bisection import BudgetSpent, NoValue, Reruns, search
from torchproof.stages.issues import Finding
from torchproof.stages.jobs import run_jobs
from torchproof.verdict.change_point import LEAST
from torchproof.verdict.comparable import is_time
from torchproof.verdict.confirm import TRIGGER_ALPHA
from torchproof.verdict.regressions import Standing, State


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torchproof.history.series import MainLine, Series
    from torchproof.history.store import History
    from torchproof.run.seal import Seal
    from torchproof.stages.alarms import Alarm
    from torchproof.stages.bisection import Culprit, Runner
    from torchproof.stages.case import Case

LEAST_RATE = 0.0005


def watch(case: Case, history: History | None, fresh: Sequence[Record]) -> None:
    """Look for regressions of main and keep their issues; does nothing but in the nightly run."""
    ran = [record for record in fresh if record.state != "not-run"]
    if case.plan.activity != "nightly" or history is None or not ran:
        return
    with case.reporting():
        issues = our_issues.list_issues(case)
        standing = our_issues.standing(issues)
        line = series.load(history, case.event.sha, also=[str(case.outside.workspace)])
        watched = _watched(line, ran)
        rate = max(TRIGGER_ALPHA / max(len(watched), 1), LEAST_RATE)
        with _reruns(case, history, line) as reruns:
            looks = [
                _look(
                    case,
                    line,
                    each,
                    reruns,
                    standing=standing.get(our_issues.marker(case, each)),
                    rate=rate,
                )
                for each in watched
            ]
        findings = [each for each in looks if each is not None]
        our_issues.tell(case, findings)
        our_issues.keep(case, issues, findings)


def _watched(line: MainLine, ran: Sequence[Record]) -> list[Series]:
    """Return the metrics of the tiers that ran, on the kind of machine that they ran on."""
    places = {record.tier: series.place(record) for record in ran}
    found = [each for each in series.series(line) if each.better and not is_time(each.unit)]
    ours = [each.on(places[each.key.tier]) for each in found if each.key.tier in places]
    return [each for each in ours if len(each.points) > LEAST]


@contextmanager
def _reruns(case: Case, history: History, line: MainLine) -> Iterator[Reruns]:
    """Give the runs that the night may make; whatever ends the night, they are stored."""
    seed = max((each.seed for each in (*line.records, *line.again)), default=0)
    parent = case.outside.scratch()
    with tempfile.TemporaryDirectory(prefix="torchproof-night-", dir=parent) as directory:
        checkout = Checkout(history, Path(directory) / "commit", also=[str(case.outside.workspace)])
        budget = case.settings.nightly_budget
        reruns = Reruns(run=_runner(case, checkout), left=budget, seed=seed, known=line.again)
        try:
            yield reruns
        finally:
            ran = [each for each in reruns.new if each.state != "not-run"]
            if ran:
                history.append(ran)


def _runner(case: Case, checkout: Checkout) -> Runner:
    """Return what trains an old commit as the nightly run trains the new one."""

    def run(tier: str, commit: str, seed: int) -> Record:
        case.outside.console.say(f"Running {commit[:12]} again: tier {tier}, seed {seed}.")
        gpu = any(job.gpu for job in case.plan.jobs if job.tier == tier)
        try:
            checkout.move(commit)
            give(checkout.directory, owner_of(case.outside.workspace))
            then = _at(case, checkout.directory, commit, Job(tier=tier, seed=seed, gpu=gpu))
            (made,) = run_jobs(then)
        except (ConfigError, HistoryError) as error:
            return Record(tier=tier, state="not-run", reason=str(error), seed=seed)
        return made

    return run


def _at(case: Case, workspace: Path, commit: str, job: Job) -> Case:
    """Return the case as it would be for an old commit."""
    configured = settings.load(workspace / case.inputs.working_directory)
    configured = settings.with_inputs(configured, case.inputs)
    if job.tier not in configured.tiers:
        raise ConfigError(f"the commit {commit:.12} has no tier {job.tier}")
    open_there = case.outside.open_seal

    def open_seal(chosen: settings.Settings, /, *, workspace: Path = workspace) -> Seal:
        return open_there(chosen, workspace=workspace)

    return replace(
        case,
        event=replace(case.event, name=AGAIN, sha=commit, pull_request=None),
        settings=configured,
        plan=replace(case.plan, jobs=(job,), request=None),
        outside=replace(case.outside, workspace=workspace, open_seal=open_seal),
    )


def _look(
    case: Case,
    line: MainLine,
    found: Series,
    reruns: Reruns,
    *,
    standing: Standing | None,
    rate: float,
) -> Finding | None:
    """Look at one metric; None where nothing can be said."""
    try:
        raised = alarm(found, reruns.reader(found), standing, rate=rate)
    except BudgetSpent:
        _undecided(case, found, "the runs allowed are spent, and the next night goes on")
        return None
    except NoValue:
        _undecided(case, found, "a commit from before gives no value any more")
        return None
    if raised is None:
        return _recovery(case, found, standing)
    commits = suspects(line, found, raised)
    culprit = None
    if commits:
        culprit = search(commits, found, reruns, most_runs=case.settings.nightly_budget)
    if not raised.confirmed and culprit and culprit.cause == "none":
        return None
    state = State(since=found.points[raised.index].commit)
    regression = _regression(case, line, found, raised, culprit)
    return Finding(our_issues.marker(case, found), state, regression)


def _undecided(case: Case, found: Series, why: str) -> None:
    case.outside.console.say(f"{found.key.name} may be worse; {why}.")


def _recovery(case: Case, found: Series, standing: Standing | None) -> Finding | None:
    """Say whether the metric of an open issue is back."""
    since = first_of(found, standing.since) if standing and standing.open else None
    at = None if since is None else back(found, since)
    if since is None or at is None:
        return None
    state = State(recovered=found.points[at].commit)
    return Finding(
        our_issues.marker(case, found), state, replace(_facts(case, found, since), back=at)
    )


def _regression(
    case: Case, line: MainLine, found: Series, raised: Alarm, culprit: Culprit | None
) -> Regression:
    """Say what is known; where the search found nothing, the confirmation still holds."""
    known = replace(_facts(case, found, raised.index), cause=raised.cause, runs=raised.runs)
    if culprit and culprit.cause in ("environment", "data"):
        sure = culprit.answer.probability
        return replace(known, cause=culprit.cause, facts=culprit.facts, probability=sure)
    if raised.cause != "code":
        return known
    blamed: tuple[str, ...] = (known.commits[raised.index],)
    if culprit and culprit.cause == "code":
        blamed = culprit.answer.suspects
        known = replace(known, probability=culprit.answer.probability)
    subject, mention = line.graph.subject(blamed[0]), _mention(case, blamed[0])
    return replace(known, suspects=blamed, subject=subject, mention=mention)


def _mention(case: Case, commit: str) -> str:
    """Return the author's account, where the team wants it; a report does not fail for it."""
    if not case.settings.mention_author:
        return ""
    try:
        return case.outside.hub.login_of(commit) or ""
    except HubError:
        return ""


def _facts(case: Case, found: Series, index: int) -> Regression:
    event = case.event
    page = f"{event.run.server_url}/{event.repository}/actions/runs/{event.run.id}"
    return Regression(
        metric=found.key.name,
        test=found.key.test,
        tier=found.key.tier,
        unit=found.unit,
        values=tuple(found.values),
        commits=tuple(point.commit for point in found.points),
        since=index,
        sigma=noise(found, index),
        good=found.points[max(0, index - BEFORE)].commit,
        run=(event.run.number, page),
    )
