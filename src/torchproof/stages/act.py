"""From event to report: the stages wired together, without a decision of their own.

What it touches comes in as `Outside`, so that the demo, the command line and the tests walk the
same way with other hubs, other seals and other clocks. Two rules hold throughout: the exit code is
the tests' verdict and nothing else, so that a bad day of GitHub's turns no green test red; and what
could not be reported is said in the log, in the report and in the output ``report-status``.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from torchproof import report, settings, verdict
from torchproof.errors import HubError, TorchproofError
from torchproof.history import baseline, compaction
from torchproof.history.baseline import Baseline
from torchproof.history.changes import changed_files
from torchproof.plan import Request, make_plan
from torchproof.run.workspace import head_commit, project_directory
from torchproof.stages import gate, nightly
from torchproof.stages.case import Case, Outside
from torchproof.stages.publish import publish
from torchproof.stages.seeds import Bench, run_until_decided
from torchproof.verdict import Waiting


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torchproof.history.store import History
    from torchproof.plan import Event
    from torchproof.record import Record
    from torchproof.report import Report
    from torchproof.settings import Inputs
    from torchproof.verdict import Verdict

CHECK = "torchproof"
# A job waits for a self-hosted runner for a day at most.
ASKED_DAYS_AGO = 2


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came out; ``verdict`` and ``report`` are None when there was nothing to do."""

    exit_code: int
    verdict: Verdict | None = None
    report: Report | None = None
    records: tuple[Record, ...] = ()


def act(event: Event, inputs: Inputs, outside: Outside) -> Answer:
    """Deal with one event.

    Raises:
        TorchproofError: Configuration, trust or host do not allow it; nothing was judged then.
    """
    case = _case(event, inputs, outside)
    if case.plan.nothing:
        outside.console.say(f"Nothing to do: {case.plan.nothing}.")
        return Answer(exit_code=0)
    with _check(case) as check, ExitStack() as stack:
        history = _history(case, stack)
        base = _baseline(case, history)
        bench = Bench(case=case, history=history, base=base)
        fresh = run_until_decided(case, bench)
        prints = gate.fingerprints(case, base, bench.split(fresh)[0])
        _store(case, history, (*fresh, *prints))
        nightly.watch(case, history, fresh)
        earlier, known = gate.split(_earlier(case, history))
        head = (*earlier, *fresh)
        passage = gate.compare(case, (*known, *prints), base)
        waiting, refused = _dispatch(passage.case, check, bench.split(fresh)[0])
        judged = bench.judge(head, waiting=waiting, refused=refused, unchanged=passage.unchanged)
        context = _context(case, base, history, passage.notes)
        context = replace(
            context,
            spent=bench.spent(head),
            changed_files=_changed_files(case, base, history, judged),
            fingerprints=(*known, *prints),
        )
        made = report.compose(judged, head, base.records, context)
        publish(case, check, made)
    return Answer(
        exit_code=0 if judged.passed else 1, verdict=judged, report=made, records=tuple(fresh)
    )


def _case(event: Event, inputs: Inputs, outside: Outside) -> Case:
    where = outside.workspace / inputs.working_directory
    if not event.deleted:
        event = replace(event, sha=head_commit(outside.workspace))
        where = project_directory(outside.workspace, inputs.working_directory)
    configured = settings.with_inputs(settings.load(where), inputs)
    plan = make_plan(event, configured, inputs)
    return Case(event=event, inputs=inputs, settings=configured, plan=plan, outside=outside)


@contextmanager
def _check(case: Case) -> Iterator[int | None]:
    """Open the check run, and close it as cancelled if nothing comes of it."""
    plan, run = case.plan, case.event.run
    number = plan.request.check if plan.request else None
    if "check" in plan.surfaces and number is None:
        external = f"{run.id}-{run.attempt}-{run.job}"
        with case.reporting():
            number = case.outside.hub.open_check(case.head_sha, name=CHECK, external_id=external)
    try:
        yield number
    except BaseException as error:
        if number is not None:
            with case.reporting():
                _abandon(case, number, error)
        raise


def _abandon(case: Case, check: int, error: BaseException) -> None:
    known = isinstance(error, TorchproofError)
    case.outside.hub.finish_check(
        check,
        conclusion="failure" if known else "cancelled",
        title=str(error) if known else "The run was cancelled",
        summary=str(error) if known else "The run ended before it could report.",
    )


def _history(case: Case, stack: ExitStack) -> History | None:
    with case.reporting():
        history = stack.enter_context(case.outside.open_history(case.settings.history_branch))
        history.fetch()
        return history
    return None


def _baseline(case: Case, history: History | None) -> Baseline:
    with case.reporting():
        if history is not None:
            return baseline.find(
                history, tested=case.event.sha, base=case.plan.base, branch=case.base_branch
            )
    return Baseline(why="the history cannot be read")


def _store(case: Case, history: History | None, records: Sequence[Record]) -> None:
    """Store what ran; a run that never was is no baseline for anything."""
    ran = [record for record in records if record.state != "not-run"]
    if history is None or not case.plan.store or not ran:
        return
    with case.reporting():
        stored = history.append(ran)
        if stored.inbox:
            case.trouble(f"the records wait on {stored.inbox}: {stored.why}.")
        if case.plan.compact:
            compaction.compact(history, today=case.outside.clock().date())


def _earlier(case: Case, history: History | None) -> tuple[Record, ...]:
    """Return what the asking run has found out about the same commit: the newest of each job."""
    request = case.plan.request
    if history is None or request is None or request.seed is not None:
        return ()  # a re-run for a search belongs to no report
    with case.reporting():
        # The asking run is as old as its queue is long; archives hold nothing of it.
        since = case.outside.clock().date() - timedelta(days=ASKED_DAYS_AGO)
        known = history.runs_of(case.event.sha, since=since)
        asked = [made for made in known if made.source and made.source.event == request.event]
        newest = {(made.tier, made.seed): made for made in asked}
        ours = {job.tier for job in case.plan.jobs}
        return tuple(made for (tier, _), made in newest.items() if tier not in ours)
    return ()


def _dispatch(
    case: Case, check: int | None, records: Sequence[Record]
) -> tuple[tuple[Waiting, ...], tuple[Waiting, ...]]:
    """Hand the GPU tiers over; return those that wait and those that will not run."""
    tiers = case.plan.dispatched
    if not tiers:
        return (), ()
    if records and not verdict.judge(records, []).passed:
        why = "the tiers before it failed, so no GPU time was spent"
        return (), tuple(Waiting(tier=tier, why=why) for tier in tiers)
    request = _request(case, check)
    try:
        started = case.outside.hub.dispatch(
            case.event.run.workflow_path,
            ref=case.event.branch or case.event.default_branch,
            inputs={"runner": case.inputs.gpu_runner, "request": request.to_json()},
            nonce=request.nonce,
        )
    except HubError as error:
        case.trouble(str(error))
        refused = tuple(Waiting(tier=t, why=error.what, remedy=error.remedy) for t in tiers)
        return (), refused
    why = f"on the runner {case.inputs.gpu_runner}"
    why += f", run {started.run_id}" if started.run_id else ""
    return tuple(Waiting(tier=tier, why=why) for tier in tiers), ()


def _request(case: Case, check: int | None) -> Request:
    event = case.event
    return Request(
        sha=event.sha,
        head_sha=case.head_sha,
        base_sha=case.plan.base or "",
        base_ref=case.base_branch or "",
        branch=event.branch,
        event=event.name,
        tiers=case.plan.dispatched,
        nonce=uuid.uuid4().hex,
        order=(event.run.number, event.run.attempt),
        pull_request=case.pull_request,
        check=check,
    )


def _context(
    case: Case, base: Baseline, history: History | None, notes: Sequence[str]
) -> report.Context:
    event = case.event
    page = f"{event.run.server_url}/{event.repository}/actions/runs/{event.run.id}"
    return report.Context(
        head_sha=case.head_sha,
        tested_sha=event.sha,
        base=base.commit,
        base_why=base.why,
        run_url=page,
        run_number=event.run.number,
        attempt=event.run.attempt,
        id=case.inputs.working_directory,
        notes=(*case.troubles, *notes, *_damage(history)),
    )


def _changed_files(
    case: Case, base: Baseline, history: History | None, judged: Verdict
) -> tuple[str, ...] | None:
    """Name the files that differ from the baseline, where a number asks for a cause."""
    if history is None or base.commit is None or not judged.asks_why:
        return None
    with case.reporting():
        return changed_files(history, base.commit, case.event.sha)
    return None


def _damage(history: History | None) -> list[str]:
    """Name the stored records that could not be read; the others counted."""
    damaged = history.damaged if history else []
    return [f"a stored record was left out: {path}: {why}" for path, why in damaged]
