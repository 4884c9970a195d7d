"""What GitHub tells a runner about an event: the payload and the variables that go with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from collections.abc import Mapping

PAYLOADS = Path(__file__).parents[1] / "hub/payloads"
WORKFLOW = ".github/workflows/torchproof.yml"


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One event; ``sha`` is the commit that the workflow checks out."""

    name: str
    sha: str
    payload: Mapping[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)


def push(repository: str, sha: str) -> Happening:
    """Describe a push to main."""
    payload = {**_payload("push"), "ref": "refs/heads/main", "after": sha}
    return Happening(
        name="push", sha=sha, payload={**payload, "repository": _repository(repository)}
    )


def pull_request(
    repository: str, pull: Mapping[str, Any], merge: str, *, action: str = "opened"
) -> Happening:
    """Describe a pull request of the fake GitHub; ``merge`` is its merge commit."""
    payload = _payload(f"pull_request_{action}")
    subject = payload["pull_request"]
    head = {**subject["head"], "ref": pull["head_ref"], "sha": pull["head_sha"]}
    base = {**subject["base"], "ref": pull["base_ref"], "sha": pull["base_sha"]}
    head["repo"], base["repo"] = _repository(pull["head_repository"]), _repository(repository)
    number = pull["number"]
    return Happening(
        name="pull_request",
        sha=merge,
        payload={
            **payload,
            "number": number,
            "repository": _repository(repository),
            "pull_request": {**subject, "number": number, "head": head, "base": base},
        },
        variables={
            "GITHUB_REF": f"refs/pull/{number}/merge",
            "GITHUB_REF_NAME": f"{number}/merge",
            "GITHUB_HEAD_REF": pull["head_ref"],
            "GITHUB_BASE_REF": pull["base_ref"],
        },
    )


def scheduled(repository: str, sha: str) -> Happening:
    """Describe the nightly run of main."""
    payload = {**_payload("schedule"), "repository": _repository(repository)}
    return Happening(name="schedule", sha=sha, payload=payload)


def dispatched(repository: str, run: Mapping[str, Any]) -> Happening:
    """Describe a run that workflow_dispatch started, which checks out what its request says."""
    payload = {**_payload("workflow_dispatch"), "inputs": run["inputs"]}
    branch = run["head_branch"]
    return Happening(
        name="workflow_dispatch",
        sha=json.loads(run["inputs"]["request"])["sha"],
        payload={
            **payload,
            "ref": f"refs/heads/{branch}",
            "workflow": run["path"],
            "repository": _repository(repository),
        },
        variables={
            "GITHUB_REF": f"refs/heads/{branch}",
            "GITHUB_REF_NAME": branch,
            # The tip of the branch that holds the workflow, and not the commit that is tested.
            "GITHUB_SHA": run["head_sha"],
            "RUNNER_ENVIRONMENT": "self-hosted",
        },
    )


def _payload(name: str) -> dict[str, Any]:
    return json.loads((PAYLOADS / f"{name}.json").read_text("utf-8"))


def _repository(name: str) -> dict[str, Any]:
    return {**_payload("push")["repository"], "full_name": name, "default_branch": "main"}
