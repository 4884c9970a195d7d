"""Jobs of the user's workflow: a fresh runner, a checkout, and the step that uses the action."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.end_to_end import happenings
from tests.runner.harness import HOST_NETWORK, FakeRunner


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.end_to_end.happenings import Happening
    from tests.end_to_end.repository import Repository
    from tests.fake_github.world import World
    from tests.runner.step import Result, Step

ACTION = Path(__file__).parents[2] / "action.yml"
TOKEN = "ghs_workflow"


@dataclass
class Jobs:
    """Does to one repository what people do, and runs the jobs that GitHub then starts.

    What it is given beside files goes to `start`.
    """

    directory: Path
    repository: Repository
    image: str
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    runners: list[FakeRunner] = field(default_factory=list)
    events: list[Happening] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.repository.github.world

    def push(self, files: Mapping[str, str] | None = None, **given: Any) -> Result:
        """Push a commit to main and run its job."""
        return self.start(self.pushed(files), **given).wait()

    def pull_request(
        self, files: Mapping[str, str] | None = None, *, fork: str = "", **given: Any
    ) -> Result:
        """Push a commit to pull request #1, which the first one opens, and run its job."""
        return self.start(self.pulled(files, fork), **given).wait()

    def run_again(self) -> Result:
        """Run the last event's job once more."""
        return self.start(self.events[-1]).wait()

    def pushed(self, files: Mapping[str, str] | None = None) -> Happening:
        """Push a commit to main."""
        return happenings.push(self.repository.name, self.repository.commit("main", files))

    def pulled(self, files: Mapping[str, str] | None = None, fork: str = "") -> Happening:
        """Push a commit to pull request #1."""
        name, branch = self.repository.name, "topic"
        head = self.repository.commit(branch, files)
        pull = self.world.one("pulls", number=1)
        action = "synchronize" if pull else "opened"
        if pull is None:
            base = self.repository.git("rev-parse", "main")
            self.world.add_pull(name, 1, base_sha=base, head_ref=branch, head_repository=fork)
            pull = self.world.one("pulls", number=1)
        pull["head_sha"] = head
        return happenings.pull_request(name, pull, self.repository.merge(1, branch), action=action)

    def start(
        self,
        happening: Happening,
        *,
        inputs: Mapping[str, str] | None = None,
        token: str = TOKEN,
        image: str = "",
        checkout: bool = True,
    ) -> Step:
        """Check the event's commit out on a fresh runner and start the step.

        Args:
            happening: The event.
            inputs: What stands under ``with:``.
            token: What ``${{ github.token }}`` is.
            image: The action's image, where it is not the usual one.
            checkout: Whether the workflow uses actions/checkout.
        """
        number = next(self.numbers)
        work = self.directory / f"job-{number}"
        name = self.repository.name
        runner = FakeRunner(
            work, image or self.image, ACTION, repository=name, token=token, run_extra=HOST_NETWORK
        )
        self.runners.append(runner)
        self.events.append(happening)
        if checkout:
            self.repository.check_out(happening.sha, runner.workspace, token)
        runner.own()
        return runner.start(
            happening.name,
            happening.payload,
            inputs=inputs,
            github=self._variables(happening, number),
        )

    def clean(self) -> None:
        for runner in self.runners:
            runner.clean()

    def _variables(self, happening: Happening, number: int) -> dict[str, str]:
        github = self.repository.github
        workflow = f"{self.repository.name}/{happenings.WORKFLOW}@refs/heads/main"
        return {
            "GITHUB_API_URL": github.api_url,
            "GITHUB_SERVER_URL": github.url,
            "GITHUB_SHA": happening.sha,
            "GITHUB_RUN_ID": str(90000 + number),
            "GITHUB_RUN_NUMBER": str(number),
            "GITHUB_WORKFLOW_REF": workflow,
            **happening.variables,
        }
