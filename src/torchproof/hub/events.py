"""The event that started this run, out of the runner's variables and GitHub's event file.

The variables are the runner's own; the payload carries text that anybody may have written, so only
commits, names and numbers of the right form are taken from it. What a variable and the payload
both say is taken from the variable. The payload of a workflow run that is not about a pull request
may be anything down to an absent file, which counts as empty.

Sources: docs.github.com, "Default environment variables" and "Webhook events and payloads".
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchproof.errors import UsageError
from torchproof.plan.event import NO_COMMIT, Event, PullRequest, Run


if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 25 * 1024 * 1024  # GitHub cuts webhook payloads off there
GITHUB = "https://github.com"
GITHUB_API = "https://api.github.com"

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.IGNORECASE)
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}")
_REF = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\]{1,1024}")
_WORKFLOW = re.compile(r"[^/]+/[^/]+/(?P<path>.+?)(?:@.*)?")
_HEADS = "refs/heads/"


def read_file(environ: Mapping[str, str]) -> Event:
    """Read the event of this process; see `read`."""
    path = environ.get("GITHUB_EVENT_PATH", "")
    try:
        payload = Path(path).read_bytes() if path else b""
    except FileNotFoundError:
        payload = b""
    except OSError as error:
        what = f"the event file cannot be read: {error.strerror}"
        raise UsageError(what, "Check GITHUB_EVENT_PATH.", where=path) from error
    return read(environ, payload)


def read(environ: Mapping[str, str], payload: bytes) -> Event:
    """Make the event of the runner's variables and the bytes of the event file.

    Raises:
        UsageError: A variable is missing, or the payload is not one that GitHub sends.
    """
    body = _parsed(payload)
    name = _variable(environ, "GITHUB_EVENT_NAME")
    repository = _checked(_REPOSITORY, _variable(environ, "GITHUB_REPOSITORY"), "GITHUB_REPOSITORY")
    subject = body.get("pull_request")
    pull_request = None if subject is None else pull_request_of(subject, repository)
    ref = environ.get("GITHUB_REF", "")
    return Event(
        name=name,
        action=_text(body, "action"),
        repository=repository,
        default_branch=_text(_mapping(body, "repository"), "default_branch"),
        sha=NO_COMMIT
        if _deleted(body)
        else _commit(_variable(environ, "GITHUB_SHA"), "GITHUB_SHA"),
        ref=ref,
        branch=pull_request.head_ref if pull_request else _branch(ref),
        before=_before(body),
        pull_request=pull_request,
        inputs=_inputs(body),
        run=_run(environ),
    )


def pull_request_of(subject: Any, repository: str) -> PullRequest:
    """Read GitHub's pull request object, as events and the API show it.

    Args:
        subject: The object.
        repository: ``owner/name`` of the repository that it was opened in.

    Raises:
        UsageError: A part is missing or not what it should be.
    """
    if not isinstance(subject, dict):
        raise _odd("pull_request", subject)
    head, base = _mapping(subject, "head"), _mapping(subject, "base")
    source = _mapping(head, "repo").get("full_name")
    if source is not None:
        source = _checked(_REPOSITORY, source, "pull_request.head.repo.full_name")
    return PullRequest(
        number=_number(subject.get("number"), "pull_request.number"),
        head_sha=_commit(head.get("sha"), "pull_request.head.sha"),
        head_ref=_checked(_REF, head.get("ref"), "pull_request.head.ref"),
        base_sha=_commit(base.get("sha"), "pull_request.base.sha"),
        base_ref=_checked(_REF, base.get("ref"), "pull_request.base.ref"),
        head_repository=source,
        fork=source is None or source.lower() != repository.lower(),
    )


def _run(environ: Mapping[str, str]) -> Run:
    workflow = _WORKFLOW.fullmatch(environ.get("GITHUB_WORKFLOW_REF", ""))
    return Run(
        id=environ.get("GITHUB_RUN_ID", "0"),
        number=_number(environ.get("GITHUB_RUN_NUMBER", "0"), "GITHUB_RUN_NUMBER"),
        attempt=_number(environ.get("GITHUB_RUN_ATTEMPT", "1"), "GITHUB_RUN_ATTEMPT"),
        job=environ.get("GITHUB_JOB", ""),
        workflow_path=workflow["path"] if workflow else "",
        server_url=environ.get("GITHUB_SERVER_URL", GITHUB).rstrip("/"),
        api_url=environ.get("GITHUB_API_URL", GITHUB_API).rstrip("/"),
        # What does not say that it is hosted is treated as a machine worth protecting.
        self_hosted=environ.get("RUNNER_ENVIRONMENT") != "github-hosted",
    )


def _parsed(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_BYTES:
        raise UsageError(
            f"the event file has {len(payload)} bytes, GitHub's have at most {MAX_BYTES}"
        )
    try:
        body = json.loads(payload.decode("utf-8")) if payload.strip() else {}
    except (ValueError, RecursionError) as error:
        remedy = "Check GITHUB_EVENT_PATH, or give --event a payload as GitHub sends it."
        raise UsageError("the event file is not JSON", remedy) from error
    if not isinstance(body, dict):
        raise _odd("the event", body)
    return body


def _deleted(body: dict[str, Any]) -> bool:
    after = body.get("after")
    return body.get("deleted") is True or (isinstance(after, str) and set(after) == {"0"})


def _before(body: dict[str, Any]) -> str:
    """Return the commit that was there before: a push's old tip, a merge group's base."""
    before = body.get("before") or _mapping(body, "merge_group").get("base_sha") or ""
    return _commit(before, "before") if before else ""


def _inputs(body: dict[str, Any]) -> dict[str, str]:
    inputs = _mapping(body, "inputs")
    return {name: _spelled(value) for name, value in inputs.items() if value is not None}


def _spelled(value: Any) -> str:
    """Write an input as the runner's INPUT_ variables do: booleans in lower case."""
    return value if isinstance(value, str) else json.dumps(value)


def _branch(ref: str) -> str:
    return ref.removeprefix(_HEADS) if ref.startswith(_HEADS) else ""


def _variable(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise UsageError(f"{name} is not set", "Run torchproof in a GitHub workflow, or set it.")
    return value


def _mapping(body: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an object of the payload; GitHub writes null for one that is gone."""
    value = body.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _odd(key, value)
    return value


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key) or ""
    if not isinstance(value, str):
        raise _odd(key, value)
    return value


def _commit(value: Any, what: str) -> str:
    return _checked(_COMMIT, value, what).lower()


def _number(value: Any, what: str) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,18}", str(value)):
        raise _odd(what, value)
    return int(value)


def _checked(form: re.Pattern[str], value: Any, what: str) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _odd(what, value)
    return value


def _odd(what: str, value: Any) -> UsageError:
    remedy = "Give the event file as GitHub wrote it."
    return UsageError(f"the event is not one GitHub sends: {what} is {value!r:.60}", remedy)
