"""The action: what the entrypoint starts on GitHub's runner.

``python -m torchproof.action`` reads the runner's variables, deals with the event and exits with
the verdict; ``python -m torchproof.action post`` cleans up after a step that was cancelled or
killed. The token is taken out of the environment before anything else happens.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torchproof import hub, settings
from torchproof.errors import TorchproofError, UsageError
from torchproof.history.store import History
from torchproof.hub import events
from torchproof.hub.console import RunnerConsole
from torchproof.hub.runner_files import mask_lines
from torchproof.run.container import sweep
from torchproof.run.engine import Engine
from torchproof.run.opening import lease, open_seal, scratch
from torchproof.stages import Outside, act


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence
    from types import FrameType

    from torchproof.plan import Event
    from torchproof.settings import Inputs

TOKEN = "INPUT_GITHUB-TOKEN"  # noqa: S105 - the variable's name
CANCELLED = 130
# Seconds: long enough for a crowd of writers, and the report does not wait for ever.
STORE_PATIENCE = 120.0
_PR_SET_DUMPABLE = 4


class Cancelled(BaseException):
    """The runner asks us to stop."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step, or its post step; return the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    environ = os.environ
    try:
        if list(arguments) == ["post"]:
            sweep(Engine(), run_id(environ))
            return 0
        with _cancellable():
            return _step(environ)
    except Cancelled:
        return CANCELLED
    except TorchproofError as error:
        print(hub.error_line(error))
        return error.exit_code


def run_id(environ: Mapping[str, str]) -> str:
    """Name this job's containers, so that the post step finds what is left of them."""
    names = ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "RUNNER_NAME")
    return "-".join(environ.get(name, "0") for name in names)


def _step(environ: MutableMapping[str, str]) -> int:
    inputs = settings.read_inputs(environ)
    environ.pop(TOKEN, None)
    _hide()
    if inputs.github_token:
        print(mask_lines(inputs.github_token), end="", flush=True)
    event = events.read_file(environ)
    return act(event, inputs, outside(event, inputs, environ)).exit_code


def outside(event: Event, inputs: Inputs, environ: Mapping[str, str]) -> Outside:
    """Lay out what the action touches on a runner."""
    workspace = Path(environ.get("GITHUB_WORKSPACE", ""))
    if not workspace.is_absolute():
        raise UsageError("GITHUB_WORKSPACE is not set", "Run torchproof in a GitHub workflow.")
    remote = f"{event.run.server_url}/{event.repository}.git"
    page = f"{event.run.server_url}/{event.repository}/actions/runs/{event.run.id}"
    console = RunnerConsole(environ)
    return Outside(
        workspace=workspace,
        hub=hub.GitHub(event.repository, token=inputs.github_token, api_url=event.run.api_url),
        console=console,
        open_history=lambda branch: History(
            remote, branch=branch, token=inputs.github_token or None, patience=STORE_PATIENCE
        ),
        open_seal=partial(
            open_seal,
            workspace=workspace,
            wanted=inputs.seal,
            run_id=run_id(environ),
            secrets_present=True,
            say=console.say,
        ),
        lease=partial(lease, run=page, say=console.say),
        clock=lambda: datetime.now(UTC),
        scratch=partial(scratch, environ),
    )


@contextmanager
def _cancellable() -> Iterator[None]:
    """Turn the first signal into `Cancelled`; a second one must not interrupt the cleaning up."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        raise Cancelled

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, stop)
    yield


def _hide() -> None:
    """Close this process's memory and environment to others, of the same user too (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
