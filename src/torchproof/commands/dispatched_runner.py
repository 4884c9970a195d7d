"""Training old commits on the repository's own runner, by its own workflow.

Each run is asked for by workflow_dispatch, as a hosted run asks for its GPU tiers, and is over when
its record is in the history. What was asked for shows in the run's title, so that the same run
is asked for once, however often the search is started: one that waits for its runner still, or was
made meanwhile, is found there.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from torchproof.errors import HubError, UsageError
from torchproof.history.series import place
from torchproof.history.trust import AGAIN
from torchproof.hub import GitHub
from torchproof.hub.events import GITHUB_API
from torchproof.plan import Request
from torchproof.record import Record


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date

    from torchproof.history.series import Place
    from torchproof.history.store import History
    from torchproof.hub.hub import Dispatched, Hub
    from torchproof.stages.bisection import Runner

POLL = 15.0  # seconds
# A job waits for a self-hosted runner for a day at most.
RECENT_DAYS = 2


@dataclass(frozen=True)
class Workflow:
    """What is dispatched.

    Attributes:
        file: Its name in ``.github/workflows``.
        branch: Whose version of it runs; the commit to test is another.
        runner: Label of the runner to use; empty for the workflow's own choice.
    """

    file: str
    branch: str
    runner: str = ""


def github(environ: Mapping[str, str] = os.environ) -> GitHub:
    """Open the repository on GitHub that the environment names.

    Raises:
        UsageError: A variable is missing.
    """
    token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN")
    if not token:
        remedy = "Set it to a token with `actions: write`, such as what `gh auth token` prints."
        raise UsageError("GITHUB_TOKEN is not set", remedy)
    repository = environ.get("GITHUB_REPOSITORY")
    if not repository:
        raise UsageError("GITHUB_REPOSITORY is not set", "Set it to OWNER/NAME.")
    return GitHub(repository, token=token, api_url=environ.get("GITHUB_API_URL", GITHUB_API))


def dispatched_runner(
    hub: Hub,
    history: History,
    workflow: Workflow,
    where: Place,
    *,
    patience: float,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Runner:
    """Return a function that lets the workflow run a tier of an old commit.

    Args:
        hub: Starts the workflow.
        history: Where the run leaves its record.
        workflow: What to start.
        where: The kind of machine that the stored runs were made on.
        patience: Seconds to wait for one run.
        say: Told which run is waited for.
        clock: Seconds that only grow.
        sleep: Waits for so many seconds.
    """

    def run(tier: str, commit: str, seed: int) -> Record:
        request = _request(tier, commit, seed, workflow.branch)
        started = _start(hub, workflow, request)
        say(f"Waiting for {_spelled(started)}: commit {commit[:12]}, tier {tier}, seed {seed}.")
        deadline = clock() + patience
        while True:
            # Asked before the history, in which all is to be seen that a run that is over has left.
            known = hub.find_run(workflow.file, ref=workflow.branch, nonce=request.nonce)
            found = _stored(history, request)
            if found:
                return _comparable(found, where)
            if known and known.over:
                reason = f"{_spelled(known)} is over and has left no record"
                say(f"{reason}.")
                return Record(tier=tier, state="not-run", reason=reason, seed=seed)
            if clock() >= deadline:
                raise _too_late(known or started, commit, patience)
            sleep(POLL)

    return run


def lately(again: Iterable[Record]) -> list[Record]:
    """Return the runs that tell about the environment of now: those of the last two days."""
    since = _since().isoformat()
    return [record for record in again if record.started >= since]


def _since() -> date:
    return datetime.now(UTC).date() - timedelta(days=RECENT_DAYS)


def _request(tier: str, commit: str, seed: int, branch: str) -> Request:
    return Request(
        sha=commit,
        head_sha=commit,
        base_sha="",
        branch=branch,
        event=AGAIN,
        tiers=(tier,),
        # The commit stands last, so that no such text is the beginning of another one.
        nonce=f"{AGAIN}-s{seed}-{tier}-{commit}",
        seed=seed,
    )


def _start(hub: Hub, workflow: Workflow, request: Request) -> Dispatched:
    there = hub.find_run(workflow.file, ref=workflow.branch, nonce=request.nonce)
    if there:
        return there
    inputs = {"runner": workflow.runner, "request": request.to_json()}
    return hub.dispatch(workflow.file, ref=workflow.branch, inputs=inputs, nonce=request.nonce)


def _stored(history: History, request: Request) -> Record | None:
    history.fetch()
    for record in history.runs_of(request.sha, since=_since()):
        again = record.source is not None and record.source.event == AGAIN
        if again and (record.tier, record.seed) == (*request.tiers, request.seed):
            return record
    return None


def _comparable(record: Record, where: Place) -> Record:
    made = place(record)
    if made != where:
        what = f"the run was made on {_machine(made)}, the stored ones on {_machine(where)}"
        raise UsageError(what, "Name the label of their runner with --gpu-runner.")
    return record


def _machine(where: Place) -> str:
    return " ".join(part for part in (where.gpu or where.device, where.arch) if part) or "nothing"


def _spelled(started: Dispatched) -> str:
    return f"the run {started.url or started.run_id or 'that was dispatched'}"


def _too_late(started: Dispatched, commit: str, patience: float) -> HubError:
    minutes = f"{patience / 60:.0f} min"
    what = f"{_spelled(started)} has left no record of {commit[:12]} in {minutes}"
    remedy = "It may wait for its runner: search again later, which starts nothing twice."
    return HubError(what, remedy)
