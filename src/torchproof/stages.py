"""From event to report: the stages wired together, without a decision of their own.

What it touches comes in as `Outside`, so that the demo, the command line and the tests walk the
same way with other hubs, other seals and other clocks. Two rules hold throughout: the exit code is
the tests' verdict and nothing else, so that a bad day of GitHub's turns no green test red; and what
could not be reported is said in the log, in the report and in the output ``report-status``.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from torchproof import report, settings, verdict
from torchproof.errors import HistoryError, HostError, HubError, TemplateError, TorchproofError
from torchproof.history import baseline, compaction
from torchproof.history.baseline import Baseline
from torchproof.hub.hub import Annotation
from torchproof.plan import Job, Plan, Request, make_plan
from torchproof.record import Record, Source
from torchproof.run import environment, project
from torchproof.run.tier import run_tier
from torchproof.run.workspace import head_commit, project_directory, read_template
from torchproof.verdict import Waiting


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from torchproof.history.store import History
    from torchproof.hub.hub import Hub
    from torchproof.plan import Event
    from torchproof.report import Report
    from torchproof.run.lease import Lease
    from torchproof.run.seal import Seal
    from torchproof.settings import Inputs, Settings
    from torchproof.verdict import Verdict

CHECK = "torchproof"
# A job waits for a self-hosted runner for a day at most.
ASKED_DAYS_AGO = 2


class Console(Protocol):
    """Where words go beside GitHub: the job's log, its summary, the step's outputs."""

    def say(self, text: str) -> None:
        """Print a sentence of ours."""

    def show(self, data: bytes) -> None:
        """Print what the code under test has written; hostile."""

    def group(self, title: str) -> AbstractContextManager[None]:
        """Fold what is printed meanwhile under a title."""

    def annotate(self, annotations: Sequence[Annotation]) -> None:
        """Mark lines of the code."""

    def summarise(self, markdown: str) -> None:
        """Show the report beside the log."""

    def output(self, outputs: Mapping[str, str]) -> None:
        """Hand values to later steps."""


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Everything the action touches.

    Attributes:
        workspace: The checkout.
        hub: The repository on GitHub, or what stands in for it.
        open_history: Opens the history on a branch.
        open_seal: Opens the sealed place where the tests run.
        lease: Holds a GPU while its context lasts.
        clock: The present, with a time zone.
    """

    workspace: Path
    hub: Hub
    console: Console
    open_history: Callable[[str], History]
    open_seal: Callable[[Settings], Seal]
    lease: Callable[[], AbstractContextManager[Lease]]
    clock: Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One event being dealt with; ``troubles`` collects what could not be reported."""

    event: Event
    inputs: Inputs
    settings: Settings
    plan: Plan
    outside: Outside
    troubles: list[str] = field(default_factory=list)

    @property
    def head_sha(self) -> str:
        """The commit that people see: a pull request's head, not its merge commit."""
        if self.plan.request:
            return self.plan.request.head_sha
        return self.event.pull_request.head_sha if self.event.pull_request else self.event.sha

    @property
    def pull_request(self) -> int | None:
        """The pull request's number."""
        if self.plan.request:
            return self.plan.request.pull_request
        return self.event.pull_request.number if self.event.pull_request else None

    @property
    def base_branch(self) -> str | None:
        """The branch that the change goes to; None when it is not known."""
        if self.plan.request:
            return self.plan.request.base_ref or None
        if self.event.pull_request:
            return self.event.pull_request.base_ref
        return self.event.branch or None

    @property
    def order(self) -> tuple[int, int, int]:
        """The place of this report among all reports; a GPU run's follows its asker's."""
        if self.plan.request:
            return (*self.plan.request.order, 1)
        return self.event.run.number, self.event.run.attempt, 0

    def trouble(self, text: str) -> None:
        """Note what could not be stored or reported."""
        sentence = " ".join(text.split())
        self.troubles.append(sentence)
        self.outside.console.say(f"Not reported: {sentence}")


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
        fresh = _run(case)
        _store(case, history, fresh)
        head = (*_earlier(case, history), *fresh)
        waiting, refused = _dispatch(case, check, fresh)
        judged = verdict.judge(
            head,
            base.records,
            waiting=waiting,
            refused=refused,
            tolerance=case.settings.tolerance,
        )
        made = report.compose(judged, head, base.records, _context(case, base, history))
        _publish(case, check, made)
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
        with _reporting(case):
            number = case.outside.hub.open_check(case.head_sha, name=CHECK, external_id=external)
    try:
        yield number
    except BaseException as error:
        if number is not None:
            with _reporting(case):
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


@contextmanager
def _reporting(case: Case) -> Iterator[None]:
    """Note what cannot be stored or reported, and go on."""
    try:
        yield
    except (HubError, HistoryError) as error:
        case.trouble(str(error))


def _history(case: Case, stack: ExitStack) -> History | None:
    with _reporting(case):
        history = stack.enter_context(case.outside.open_history(case.settings.history_branch))
        history.fetch()
        return history
    return None


def _baseline(case: Case, history: History | None) -> Baseline:
    with _reporting(case):
        if history is not None:
            return baseline.find(
                history, tested=case.event.sha, base=case.plan.base, branch=case.base_branch
            )
    return Baseline(why="the history cannot be read")


def _run(case: Case) -> list[Record]:
    """Run the plan's jobs one after the other, and say where each record comes from."""
    if not case.plan.jobs:
        return []
    console = case.outside.console
    try:
        seal = case.outside.open_seal(case.settings)
    except HostError as error:
        console.say(str(error))
        return [_not_run(case, job, error) for job in case.plan.jobs]
    with ExitStack() as stack:
        stack.callback(seal.close)
        try:
            with console.group("torchproof: user environment"):
                python = _environment(case, seal)
        except HostError as error:
            console.say(str(error))
            return [_not_run(case, job, error) for job in case.plan.jobs]
        return [_run_job(case, seal, job, python) for job in case.plan.jobs]


def _environment(case: Case, seal: Seal) -> str:
    where = case.outside.workspace / case.inputs.working_directory
    plan = environment.plan_environment(
        project.read_project(where, install=case.settings.install),
        case.settings,
        directory=seal.workspace / case.inputs.working_directory,
        cache=seal.cache,
    )
    case.outside.console.say(f"User environment: {plan.origin} ({seal.name})")
    return environment.make(seal, plan, on_output=case.outside.console.show)


def _run_job(case: Case, seal: Seal, job: Job, python: str) -> Record:
    started = case.outside.clock()
    console = case.outside.console
    try:
        with (
            console.group(f"torchproof: tier {job.tier}, seed {job.seed}"),
            case.outside.lease() if job.gpu else nullcontext() as lease,
        ):
            record = run_tier(
                seal,
                job,
                case.settings,
                python=python,
                on_output=console.show,
                lease=lease,
                directory=seal.workspace / case.inputs.working_directory,
            )
    except HostError as error:
        console.say(str(error))
        return _not_run(case, job, error)
    if lease:
        record = _with_lease(record, lease)
    return replace(record, source=_source(case), started=started.isoformat(timespec="seconds"))


def _with_lease(record: Record, lease: Lease) -> Record:
    """Add what holding the GPU has shown; the figures are final only after it was given back."""
    cost = replace(record.cost, gpu_seconds=lease.seconds, gpu_peak_bytes=lease.peak_bytes)
    slowed = f"the GPU's clocks were slowed down: {', '.join(lease.throttled)}"
    notes = (*record.notes, slowed) if lease.throttled else record.notes
    return replace(record, cost=cost, notes=notes)


def _not_run(case: Case, job: Job, error: HostError) -> Record:
    return Record(
        tier=job.tier,
        state="not-run",
        reason=str(error),
        seed=job.seed,
        started=case.outside.clock().isoformat(timespec="seconds"),
        source=_source(case),
    )


def _source(case: Case) -> Source:
    event, request = case.event, case.plan.request
    return Source(
        repository=event.repository,
        commit=case.head_sha,
        tested=event.sha,
        branch=request.branch if request else event.branch,
        event=request.event if request else event.name,
        run_id=event.run.id,
        attempt=event.run.attempt,
        job=event.run.job,
        pull_request=case.pull_request,
        fork=event.from_fork,
    )


def _store(case: Case, history: History | None, records: Sequence[Record]) -> None:
    """Store what ran; a run that never was is no baseline for anything."""
    ran = [record for record in records if record.state != "not-run"]
    if history is None or not case.plan.store or not ran:
        return
    with _reporting(case):
        stored = history.append(ran)
        if stored.inbox:
            case.trouble(f"the records wait on {stored.inbox}: {stored.why}.")
        if case.plan.compact:
            compaction.compact(history, today=case.outside.clock().date())


def _earlier(case: Case, history: History | None) -> tuple[Record, ...]:
    """Return what the asking run has found out about the same commit: the newest of each job."""
    request = case.plan.request
    if history is None or request is None:
        return ()
    with _reporting(case):
        # The asking run is as old as its queue is long; archives hold nothing of it.
        since = case.outside.clock().date() - timedelta(days=ASKED_DAYS_AGO)
        known = history.runs_of(case.event.sha, since=since)
        asked = [made for made in known if made.source and made.source.event == request.event]
        newest = {(made.tier, made.seed): made for made in asked}
        ours = {(job.tier, job.seed) for job in case.plan.jobs}
        return tuple(made for key, made in newest.items() if key not in ours)
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


def _context(case: Case, base: Baseline, history: History | None) -> report.Context:
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
        notes=(*case.troubles, *_damage(history)),
    )


def _damage(history: History | None) -> list[str]:
    """Name the stored records that could not be read; the others counted."""
    damaged = history.damaged if history else []
    return [f"a stored record was left out: {path}: {why}" for path, why in damaged]


def _publish(case: Case, check: int | None, made: Report) -> None:
    """Show the report on every surface of the plan, and say what could not be shown."""
    outside, surfaces = case.outside, case.plan.surfaces
    outputs = dict(report.outputs(made))
    outside.console.say(outputs["headline"])
    annotations = [Annotation(**remark) for remark in report.annotate(made)]
    if "comment" in surfaces and case.pull_request is not None:
        with _reporting(case):
            posted = outside.hub.upsert_comment(
                case.pull_request,
                _comment(case, made),
                marker=_marker(case),
                order=case.order,
                key=report.body_key,
            )
            outputs["comment-url"] = posted.url
    if check is not None and not made.verdict.pending:
        with _reporting(case):
            outside.hub.finish_check(
                check,
                conclusion="success" if made.verdict.passed else "failure",
                title=outputs["headline"],
                summary=report.check(_noted(case, made)),
                annotations=annotations,
            )
    outside.console.summarise(report.summary(_noted(case, made)))
    outside.console.annotate(annotations)
    outside.console.output({**outputs, "report-status": "; ".join(case.troubles) or "complete"})


def _noted(case: Case, made: Report) -> Report:
    """Add what has gone wrong since the report was composed."""
    troubles = [(text,) for text in case.troubles]
    return replace(made, notes=tuple(dict.fromkeys([*troubles, *made.notes])))


def _marker(case: Case) -> str:
    """Tell the comments of a repository's projects apart by their directories."""
    directory = case.inputs.working_directory.strip("./")
    return directory or "default"


def _comment(case: Case, made: Report) -> str:
    """Render the comment, with the user's template where there is one that works."""
    name = case.settings.template
    if not name or case.event.from_fork:
        return report.comment(made)
    try:
        template = read_template(case.outside.workspace, name)
        return report.comment(made, template=template, template_name=name)
    except TemplateError as error:
        case.trouble(str(error))
        return report.comment(_noted(case, made))
