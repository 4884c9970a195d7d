"""One run of the action as a process of its own, with nothing but the tests left out.

    python -m benchmarks.overhead.one_run ORDER.json RESULT.json

Everything that the action loads or prepares at its first use happens here as on a runner. The seal
copies a prepared events file instead of running tests. The order names the event; the result holds
the seconds from the end of the tests to the comment and to the end, and the number of API calls.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from benchmarks.overhead.repository import NAME, TOKEN, WORKFLOW

from torchproof import action
from torchproof.history.store import History
from torchproof.hub.offline import OfflineHub
from torchproof.plan import Event, PullRequest, Run
from torchproof.run.lease import Lease
from torchproof.run.seal import Completed
from torchproof.settings import Inputs
from torchproof.stages import Outside, act


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torchproof.run.seal import Command

_EVENTS = "--torchproof-events="


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to do.

    Attributes:
        event: ``pull_request``, ``push``, ``schedule`` or ``workflow_dispatch``.
        number: Of the pull request and of the run; never used before.
        url: GitHub's address; ``api_url`` that of its API.
        request: What the hosted run has asked of a GPU run.
        tiers: The input of that name.
        offline: The path of the git repository, where there is to be no GitHub at all.
    """

    event: str
    number: int
    url: str
    api_url: str
    workspace: str
    events: str
    base: str
    head: str
    merge: str
    request: str = ""
    tiers: str = ""
    gpu_runner: str = ""
    offline: str = ""


@dataclass
class Times:
    """Moments of the monotonic clock."""

    tests: float = 0.0
    comment: float = 0.0
    end: float = 0.0


class PreparedSeal:
    """A seal whose tests end at once and have written what was prepared."""

    name = "prepared"
    secret_keys: tuple[str, ...] = ()

    def __init__(self, workspace: Path, results: Path, events: Path, times: Times) -> None:
        self.workspace = PurePosixPath(workspace)
        self.plugin = self.cache = PurePosixPath(results)
        self.results = PurePosixPath(results)
        self.results_here = results
        self._events = events
        self._times = times

    def run(self, command: Command, *, on_output: Callable[[bytes], None]) -> Completed:
        """Put the events where the tests would have written theirs."""
        on_output(b"154 passed in 60.00s\n")
        path = next(word for word in command.argv if word.startswith(_EVENTS))
        shutil.copy(self._events, path.removeprefix(_EVENTS))
        self._times.tests = time.monotonic()
        return Completed(exit_code=0, seconds=60.0)

    def close(self) -> None:
        """Leave everything to whoever owns the directory."""


class TimedHub:
    """A hub that notes when the comment is there."""

    def __init__(self, hub: Any, times: Times) -> None:
        self._hub = hub
        self._times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hub, name)

    def upsert_comment(self, *arguments: Any, **named: Any) -> Any:
        """Pass the comment on; see `Hub.upsert_comment`."""
        posted = self._hub.upsert_comment(*arguments, **named)
        self._times.comment = time.monotonic()
        return posted


def run(order: Order, scratch: Path) -> dict[str, float]:
    """Deal with the event, and say what it took."""
    times = Times()
    inputs = Inputs(github_token=TOKEN, tiers=order.tiers, gpu_runner=order.gpu_runner)
    event = _event(order)
    outside = _outside(order, event, inputs, scratch, times)
    act(event, inputs, outside)
    times.end = time.monotonic()
    if "\ncomplete\n" not in (scratch / "GITHUB_OUTPUT").read_text("utf-8"):
        raise RuntimeError("not everything could be reported")
    return {
        "to_comment": times.comment - times.tests,
        "to_end": times.end - times.tests,
        "calls": outside.hub.calls,
    }


def _outside(order: Order, event: Event, inputs: Inputs, scratch: Path, times: Times) -> Outside:
    """Lay out what the action touches on a runner, and stand in for the tests and the GPU."""
    files = {name: str(scratch / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for name in files.values():
        Path(name).touch()
    environ = {**os.environ, **files, "GITHUB_WORKSPACE": order.workspace}
    outside = action.outside(event, inputs, environ)
    seal = PreparedSeal(Path(order.workspace), scratch, Path(order.events), times)
    hub: Any = TimedHub(OfflineHub(scratch) if order.offline else outside.hub, times)
    outside = replace(outside, hub=hub, open_seal=lambda *_, **__: seal, lease=_lease)
    if order.offline:
        outside = replace(
            outside, open_history=lambda branch: History(order.offline, branch=branch)
        )
    return outside


@contextmanager
def _lease() -> Iterator[Lease]:
    yield Lease(uuid="GPU-0", name="NVIDIA H100", driver="580.1", cuda="13.0")


def _event(order: Order) -> Event:
    pull_request = _pull_request(order) if order.event == "pull_request" else None
    main = order.event in ("push", "schedule")
    return Event(
        name=order.event,
        action="opened" if pull_request else "",
        repository=NAME,
        default_branch="main",
        sha=order.merge,
        ref="refs/heads/main" if main else f"refs/pull/{order.number}/merge",
        branch="main" if main else "topic",
        pull_request=pull_request,
        inputs={"request": order.request} if order.request else {},
        run=_run(order),
    )


def _pull_request(order: Order) -> PullRequest:
    return PullRequest(
        number=order.number,
        head_sha=order.head,
        head_ref="topic",
        base_sha=order.base,
        base_ref="main",
        head_repository=NAME,
        fork=False,
    )


def _run(order: Order) -> Run:
    return Run(
        id=str(90_000 + order.number),
        number=order.number,
        attempt=1,
        job="proof",
        workflow_path=WORKFLOW,
        server_url=order.url,
        api_url=order.api_url,
        self_hosted=bool(order.request),
    )


def main(order: str, result: str) -> None:
    """Carry an order out."""
    with tempfile.TemporaryDirectory() as scratch:
        found = run(Order(**json.loads(Path(order).read_text("utf-8"))), Path(scratch))
    Path(result).write_text(json.dumps(found), "utf-8")


def write_order(order: Order, path: Path) -> None:
    """Write an order for `main`."""
    path.write_text(json.dumps(asdict(order)), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
