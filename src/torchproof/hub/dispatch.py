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
    path = f"/repos/{api.repository}/actions/workflows/{PurePosixPath(workflow_path).name}"
    look = partial(_started, api, f"{path}/runs", ref, nonce)
    body = {"ref": ref, "inputs": dict(inputs)}
    try:
        run = api.once(_start(path, {**body, "return_run_details": True}), look)
    except RefusedError as error:
        if error.status not in UNKNOWN_DETAILS:
            raise
        run = api.once(_start(path, body), look)
    return _dispatched(run or {})


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
    """Find the run whose title shows the nonce.

    Raises:
        HubError: Without a nonce nobody can tell; a second start would cost GPU time.
    """
    if not nonce:
        remedy = "Look into the repository's Actions page."
        raise HubError("GitHub did not say whether it started the workflow", remedy)
    query = {"event": "workflow_dispatch", "branch": ref}
    call = Call(verb="GET", path=path, purpose="list the runs of the workflow", query=query)
    for seconds in LOOKS:
        if not api.pause(seconds):
            break
        for run in api.items(call, key="workflow_runs"):
            if nonce in str(run.get("display_title", "")):
                return run
    return None


def _dispatched(run: Mapping[str, Any]) -> Dispatched:
    run_id = run.get("workflow_run_id", run.get("id"))
    return Dispatched(run_id=run_id, url=run.get("html_url"))
