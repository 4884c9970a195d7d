"""Starting a workflow by workflow_dispatch, once.

GitHub names the run it started since February 2026; GitHub Enterprise Server up to 3.20 does not
know that request and refuses it. A start whose answer was lost is looked for among the runs, by a
text that the workflow's ``run-name`` shows.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from torchproof.errors import HubError
from torchproof.hub.failures import Call, RefusedError
from torchproof.hub.hub import Dispatched


if TYPE_CHECKING:
    from collections.abc import Mapping

    from torchproof.hub.api import Api

NEEDS = "actions: write"
LOOKS = (0.0, 2.0, 4.0)  # seconds before each look: a run is not listed at once
REMEDY = "The workflow needs workflow_dispatch with these inputs on the default branch."
UNKNOWN_DETAILS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)


def dispatch(
    api: Api, workflow_path: str, *, ref: str, inputs: Mapping[str, str], nonce: str
) -> Dispatched:
    """Start a workflow; see `Hub.dispatch`."""
    path = _path(api, workflow_path)
    look = partial(_started, api, path, ref, nonce)
    body = {"ref": ref, "inputs": dict(inputs)}
    try:
        run = api.once(_start(path, {**body, "return_run_details": True}), look)
    except RefusedError as error:
        if error.status not in UNKNOWN_DETAILS:
            raise
        run = api.once(_start(path, body), look)
    return _dispatched(run or {})


def find_run(api: Api, workflow_path: str, *, ref: str, nonce: str) -> Dispatched | None:
    """Find the run with a nonce; see `Hub.find_run`."""
    run = _titled(api, _path(api, workflow_path), ref, nonce)
    return None if run is None else _dispatched(run)


def _path(api: Api, workflow_path: str) -> str:
    return f"/repos/{api.repository}/actions/workflows/{PurePosixPath(workflow_path).name}"


def _start(path: str, body: Mapping[str, Any]) -> Call:
    return Call(
        verb="POST",
        path=f"{path}/dispatches",
        purpose="start the workflow on the GPU runner",
        needs=NEEDS,
        body=body,
        expects=None,
        remedy=REMEDY,
    )


def _started(api: Api, path: str, ref: str, nonce: str) -> dict[str, Any] | None:
    """Find the run that was just started.

    Raises:
        HubError: Without a nonce nobody can tell; a second start would cost GPU time.
    """
    if not nonce:
        remedy = "Look into the repository's Actions page."
        raise HubError("GitHub did not say whether it started the workflow", remedy)
    for seconds in LOOKS:
        if not api.pause(seconds):
            break
        if run := _titled(api, path, ref, nonce):
            return run
    return None


def _titled(api: Api, path: str, ref: str, nonce: str) -> dict[str, Any] | None:
    """Find the newest run whose title shows the nonce."""
    call = Call(
        verb="GET",
        path=f"{path}/runs",
        purpose="list the runs of the workflow",
        query={"event": "workflow_dispatch", "branch": ref},
    )
    runs = api.items(call, key="workflow_runs")
    return next((run for run in runs if nonce in str(run.get("display_title", ""))), None)


def _dispatched(run: Mapping[str, Any]) -> Dispatched:
    run_id = run.get("workflow_run_id", run.get("id"))
    over = run.get("status") == "completed"
    return Dispatched(run_id=run_id, url=run.get("html_url"), over=over)
