"""The environment and mounts that the runner gives a Docker action.

After actions/runner (ContainerActionHandler.cs, Handler.cs, GitHubContext.cs). The order of the
mounts is the order in which host paths are translated: a value counts only if it is a mounted
directory or lies below one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SOCKET = "/var/run/docker.sock"
FILE_COMMANDS = {
    "GITHUB_ENV": "set_env",
    "GITHUB_OUTPUT": "set_output",
    "GITHUB_PATH": "add_path",
    "GITHUB_STATE": "save_state",
    "GITHUB_STEP_SUMMARY": "step_summary",
}


@dataclass(frozen=True)
class Folders:
    """The runner's work folder (``_work``) with the checkout of one repository."""

    work: Path
    repository: str

    @property
    def workspace(self) -> Path:
        name = self.repository.rpartition("/")[2]
        return self.work / name / name

    @property
    def temp(self) -> Path:
        return self.work / "_temp"

    @property
    def file_commands(self) -> Path:
        return self.temp / "_runner_file_commands"

    @property
    def workflow(self) -> Path:
        return self.temp / "_github_workflow"

    @property
    def home(self) -> Path:
        return self.temp / "_github_home"

    def mounts(self) -> list[tuple[Path, str]]:
        """Return host directory and container directory, in the runner's order."""
        return [
            (self.temp, "/github/runner_temp"),
            (self.home, "/github/home"),
            (self.workflow, "/github/workflow"),
            (self.file_commands, "/github/file_commands"),
            (self.workspace, "/github/workspace"),
        ]

    def translate(self, value: str) -> str:
        """Turn a host path into the container's; any other value stays as it is."""
        for host, inside in reversed(self.mounts()):
            if value == str(host) or value.startswith(f"{host}/"):
                return inside + value.removeprefix(str(host))
        return value


def input_variables(
    action: Path, given: Mapping[str, str], token: str
) -> Iterator[tuple[str, str]]:
    """Yield ``INPUT_*``: every declared input by its default, and whatever the workflow gives."""
    declared = yaml.safe_load(action.read_text("utf-8")).get("inputs", {})
    defaults = {name: str(spec.get("default", "")) for name, spec in declared.items()}
    for name, value in {**defaults, **given}.items():
        plain = value.replace("${{ github.token }}", token)
        yield f"INPUT_{name.replace(' ', '_').upper()}", plain


def github_variables(
    folders: Folders, event_name: str, github: Mapping[str, str]
) -> dict[str, str]:
    """Return ``GITHUB_*``, ``RUNNER_*`` and ``ACTIONS_*``; ``github`` overrides single ones."""
    owner = folders.repository.partition("/")[0]
    return {
        "GITHUB_ACTION": "__torchproof",
        "GITHUB_ACTION_REF": "",
        "GITHUB_ACTION_REPOSITORY": "",
        "GITHUB_ACTOR": "octocat",
        "GITHUB_ACTOR_ID": "583231",
        "GITHUB_API_URL": "https://api.github.com",
        "GITHUB_BASE_REF": "",
        "GITHUB_EVENT_NAME": event_name,
        "GITHUB_EVENT_PATH": str(folders.workflow / "event.json"),
        "GITHUB_GRAPHQL_URL": "https://api.github.com/graphql",
        "GITHUB_HEAD_REF": "",
        "GITHUB_JOB": "torchproof",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_REF_NAME": "main",
        "GITHUB_REF_PROTECTED": "false",
        "GITHUB_REF_TYPE": "branch",
        "GITHUB_REPOSITORY": folders.repository,
        "GITHUB_REPOSITORY_ID": "1296269",
        "GITHUB_REPOSITORY_OWNER": owner,
        "GITHUB_REPOSITORY_OWNER_ID": "1",
        "GITHUB_RETENTION_DAYS": "90",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_RUN_ID": "30433642",
        "GITHUB_RUN_NUMBER": "562",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": "0" * 40,
        "GITHUB_TRIGGERING_ACTOR": "octocat",
        "GITHUB_WORKFLOW": "torchproof",
        "GITHUB_WORKFLOW_REF": (
            f"{folders.repository}/.github/workflows/torchproof.yml@refs/heads/main"
        ),
        "GITHUB_WORKFLOW_SHA": "0" * 40,
        "GITHUB_WORKSPACE": str(folders.workspace),
        "RUNNER_ARCH": "X64",
        "RUNNER_ENVIRONMENT": "github-hosted",
        "RUNNER_NAME": "GitHub Actions 2",
        "RUNNER_OS": "Linux",
        "RUNNER_TEMP": str(folders.temp),
        "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache",
        "RUNNER_WORKSPACE": str(folders.workspace.parent),
        "ACTIONS_CACHE_URL": "https://artifactcache.invalid/",
        "ACTIONS_RESULTS_URL": "https://results.invalid/",
        "ACTIONS_RUNTIME_TOKEN": "runtime-token",
        "ACTIONS_RUNTIME_URL": "https://pipelines.invalid/",
        **github,
    }
