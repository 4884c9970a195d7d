"""What the action costs beside the tests: seconds until the comment stands, and API calls."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.overhead.figure import Figure
from benchmarks.overhead.one_run import Order, write_order
from benchmarks.overhead.repository import METRICS, NAME, lay_out, write_events
from tests.fake_github.http_server import running


if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.overhead.repository import Commits
    from tests.fake_github.http_server import FakeGitHub

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 1.0
MOST_CALLS = 15
OTHER_COMMENTS = 250


@dataclass(frozen=True, kw_only=True)
class Place:
    """A GitHub with the repository, and where the runs leave their files."""

    github: FakeGitHub
    directory: Path
    commits: Commits
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, event: str, *, comments: int = 0, **order: Any) -> dict[str, float]:
        """Let a process of its own deal with an event; returns what it measured.

        Args:
            event: Its name.
            comments: How many other comments are on the pull request.
            order: See `Order`.
        """
        number = next(self.numbers)
        commits = self.commits
        if event == "pull_request":
            self.github.world.add_pull(NAME, number, head_sha=commits.head, base_sha=commits.base)
            for text in map("Comment {}".format, range(comments)):
                old = self.github.world.add_comment(NAME, number, text)
                old["updated_at"] = "2026-01-01T00:00:00Z"
        asked = Order(
            event=event,
            number=number,
            url=self.github.url,
            api_url=self.github.api_url,
            workspace=str(self.directory / "work"),
            events=str(self.directory / "events.jsonl"),
            base=commits.base,
            head=commits.head,
            merge=commits.merge,
            **order,
        )
        return _in_a_process(asked, self.directory / "order.json", self.directory / "result.json")


@contextmanager
def a_place() -> Iterator[Place]:
    """Serve a GitHub with the repository while the block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "github").mkdir()
        with running(directory=directory / "github") as github:
            commits = lay_out(github, directory / "work")
            write_events(directory / "events.jsonl")
            yield Place(github=github, directory=directory, commits=commits)


def until_the_comment(place: Place, rounds: int) -> list[Figure]:
    """Measure from the end of the tests to the comment, over HTTP and without it."""
    bare = str(place.github.world.git_root / f"{NAME}.git")
    over_http, offline = [], []
    for _ in range(rounds):
        over_http.append(place.run("pull_request", tiers="unit"))
        offline.append(place.run("pull_request", tiers="unit", offline=bare))
    what = f"from the end of the tests to {{}}, {METRICS} metrics{{}} (wall time)"
    local = ", no HTTP"
    return [
        _seconds(what.format("the comment", ""), "to_comment", over_http, MOST_SECONDS),
        _seconds(what.format("the comment", local), "to_comment", offline, MOST_SECONDS),
        _seconds(what.format("the end of the step", ""), "to_end", over_http),
    ]


def calls(place: Place) -> list[Figure]:
    """Count the API calls that events lead to where a GPU runner finishes what they begin."""
    hosted, gpu = _both(place, "pull_request", comments=OTHER_COMMENTS)
    among = f"pull_request among {OTHER_COMMENTS} other comments"
    return [
        _calls(f"{among}, hosted run", hosted),
        _calls(f"{among}, GPU run", gpu),
        _calls(f"{among}, both runs", hosted, gpu),
        _calls("push to main, both runs", *_both(place, "push")),
        _calls("nightly, both runs", *_both(place, "schedule")),
    ]


def _both(place: Place, event: str, **details: Any) -> tuple[dict[str, float], dict[str, float]]:
    """Let the hosted run deal with an event, then the GPU run that it has asked for."""
    hosted = place.run(event, gpu_runner="gpu", **details)
    asked = place.github.world.data["runs"][-1]["inputs"]["request"]
    return hosted, place.run("workflow_dispatch", request=asked)


def _seconds(
    what: str, key: str, results: list[dict[str, float]], most: float | None = None
) -> Figure:
    values = tuple(result[key] for result in results)
    return Figure(what=what, unit="s", values=values, most=most)


def _calls(event: str, *results: dict[str, float]) -> Figure:
    made = sum(result["calls"] for result in results)
    return Figure(what=f"API calls, {event}", unit="calls", values=(made,), most=MOST_CALLS)


def _in_a_process(order: Order, path: Path, result: Path) -> dict[str, float]:
    write_order(order, path)
    argv = (sys.executable, "-m", "benchmarks.overhead.one_run", str(path), str(result))
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the run failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(result.read_text("utf-8"))
    return found
