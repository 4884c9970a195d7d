"""The plan's jobs: seal, user environment, GPU lease, one record each."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from torchproof.errors import HostError
from torchproof.record import Record, Source
from torchproof.run import environment, project
from torchproof.run.tier import run_tier


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torchproof.plan import Job
    from torchproof.run.lease import Lease
    from torchproof.run.seal import Seal
    from torchproof.stages.case import Case


def run_jobs(case: Case) -> list[Record]:
    """Run the plan's jobs one after the other, and say where each record comes from."""
    if not case.plan.jobs:
        return []
    with open_jobs(case) as run:
        return run(case.plan.jobs)


@contextmanager
def open_jobs(case: Case) -> Iterator[Callable[[Iterable[Job]], list[Record]]]:
    """Open the seal and make the user environment once; what comes out runs jobs in there.

    Where the host does not allow it, the jobs' records say so.
    """
    with ExitStack() as stack:
        try:
            seal = case.outside.open_seal(case.settings)
            stack.callback(seal.close)
            with case.outside.console.group("torchproof: user environment"):
                python = _environment(case, seal)
        except HostError as error:
            case.outside.console.say(str(error))
            job_runner = partial(_not_run, case, error)
        else:
            job_runner = partial(_run_job, case, seal, python)
        yield lambda jobs: [job_runner(job) for job in jobs]


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


def _run_job(case: Case, seal: Seal, python: str, job: Job) -> Record:
    started = case.outside.clock()
    console = case.outside.console
    try:
        with (
            console.group(f"torchproof: tier {job.name}, seed {job.seed}"),
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
        return _not_run(case, error, job)
    if lease:
        record = _with_lease(record, lease)
    return replace(record, source=_source(case), started=started.isoformat(timespec="seconds"))


def _with_lease(record: Record, lease: Lease) -> Record:
    """Add what holding the GPU has shown; the figures are final only after it was given back."""
    cost = replace(record.cost, gpu_seconds=lease.seconds, gpu_peak_bytes=lease.peak_bytes)
    slowed = f"the GPU's clocks were slowed down: {', '.join(lease.throttled)}"
    notes = (*record.notes, slowed) if lease.throttled else record.notes
    return replace(record, cost=cost, notes=notes)


def _not_run(case: Case, error: HostError, job: Job) -> Record:
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
