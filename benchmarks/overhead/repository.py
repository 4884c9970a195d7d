"""A repository on the fake GitHub: a main branch with a history, and pull requests to deal with.

Main has one commit after the other with a record of a push each; the branch ``topic`` has one more,
and its merge commit is what lies in the workspace.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from torchproof.history.store import History
from torchproof.record import EventWriter, Metric, Outcome, Record, Source
from torchproof.run.tier import hardware


if TYPE_CHECKING:
    from pathlib import Path

    from tests.fake_github.http_server import FakeGitHub

NAME = "octo/model"
TOKEN = "ghs_benchmark"
WORKFLOW = ".github/workflows/torchproof.yml"
METRICS = 400
COMMITS = 20
WORSE = 40
TESTS = [f"tests/test_quality.py::test_quality[{number}]" for number in range(40)]
ENVIRONMENT = {"torch": "2.13.0", "python": "3.11.7"}

_PERSON = {"NAME": "Ada", "EMAIL": "ada@example.org"}
_CONFIG = '[tool.torchproof]\npython = "system"\ntolerance = "2%"\n'


@dataclass(frozen=True, kw_only=True)
class Commits:
    """The commits that an event is about."""

    base: str
    head: str
    merge: str


def lay_out(github: FakeGitHub, workspace: Path) -> Commits:
    """Fill an empty GitHub, and check the merge commit out."""
    github.world.add_repository(NAME)
    github.world.add_token(TOKEN)
    run_name = "torchproof ${{ fromJSON(inputs.request).nonce }}"
    github.world.add_workflow(NAME, WORKFLOW, inputs=("runner", "request"), run_name=run_name)
    bare = github.world.git_root / f"{NAME}.git"
    workspace.mkdir()
    (workspace / "pyproject.toml").write_text(_CONFIG, "utf-8")
    _git(workspace, "init", "--quiet", "--initial-branch=main")
    _git(workspace, "add", "--all")
    main = [_commit(workspace, f"Change {number}") for number in range(COMMITS)]
    _git(workspace, "switch", "--quiet", "--create", "topic")
    head = _commit(workspace, "Change the model")
    _git(workspace, "push", "--quiet", str(bare), "main", "topic")
    tree = f"{head}^{{tree}}"
    merge = _git(workspace, "commit-tree", "-m", "Merge", "-p", main[-1], "-p", head, tree)
    _git(workspace, "push", "--quiet", str(bare), f"{merge}:refs/pull/1/merge")
    _git(workspace, "checkout", "--quiet", "--detach", merge)
    _store(bare, main)
    return Commits(base=main[-1], head=head, merge=merge)


def write_events(path: Path) -> None:
    """Write the events of a tier whose tests record all metrics, a tenth of them worse."""
    events = EventWriter(path)
    fingerprint = {"environment": ENVIRONMENT}
    events.write("session-start", tier="unit", seed=0, fingerprint=fingerprint)
    metrics = _metrics(worse=WORSE)
    events.write("collected", tests=TESTS)
    for test in TESTS:
        events.write("test-start", test=test)
        for metric in metrics:
            if metric.test == test:
                events.write(
                    "metric", test=test, name=metric.name, value=metric.value, better="higher"
                )
        events.write("test-end", test=test, outcome="passed", seconds=0.1)
    events.write("session-end", exit_code=0, seconds=60.0)
    events.close()


def _metrics(*, worse: int = 0) -> tuple[Metric, ...]:
    return tuple(
        Metric(
            TESTS[number % len(TESTS)],
            f"val/accuracy/{number:03}",
            0.8 if number < worse else 0.9,
            better="higher",
        )
        for number in range(METRICS)
    )


def _store(remote: Path, commits: list[str]) -> None:
    """Put a record of each commit's push into the history, an hour apart."""
    start = datetime.now(UTC) - timedelta(hours=len(commits))
    records = [
        Record(
            tier="unit",
            state="complete",
            started=(start + timedelta(hours=number)).isoformat(timespec="seconds"),
            exit_code=0,
            outcomes=tuple(Outcome(test, "passed", seconds=0.1) for test in TESTS),
            metrics=_metrics(),
            fingerprint={"environment": ENVIRONMENT, "hardware": hardware(None)},
            source=Source(NAME, commit, commit, "main", "push", str(1000 + number)),
        )
        for number, commit in enumerate(commits)
    ]
    with History(str(remote)) as history:
        history.append(records)


def _commit(work: Path, message: str) -> str:
    _git(work, "commit", "--quiet", "--allow-empty", "--message", message)
    return _git(work, "rev-parse", "HEAD")


def _git(work: Path, *words: str) -> str:
    names = {f"GIT_{who}_{k}": v for who in ("AUTHOR", "COMMITTER") for k, v in _PERSON.items()}
    environ = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        ("git", *words), cwd=work, env=environ, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()
