"""The demo: a small real project goes the whole way on this machine, without GitHub.

It makes a git repository with a main branch and a pull request that carries a silent bug, runs
torchproof on both as the action would, and shows what it says. Only what a machine without GitHub
cannot have is stood in for: `OfflineHub` takes the comment, and the tests run in this interpreter.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

from torchproof import report
from torchproof.assets import asset
from torchproof.errors import HostError
from torchproof.history.store import History
from torchproof.hub.offline import OfflineHub
from torchproof.plan import Event, PullRequest, Run
from torchproof.run.opening import open_seal
from torchproof.settings import Inputs
from torchproof.stages import Answer, Outside, act


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torchproof.hub.hub import Annotation
    from torchproof.run.lease import Lease

REPOSITORY = "ada/digits"
PACKAGES = ("markdown_it", "pytest", "sklearn", "torch")
INPUTS = Inputs(tiers="unit overfit integration")

# The bug: gradients are cleared once an epoch, so every step adds to those of the steps before.
# Nothing crashes, and the loss stays a number.
BEFORE = """    model.train()
    optimizer.zero_grad()
"""
AFTER = """    model.train()
"""
LOOP_BEFORE = """    for _ in range(epochs):
"""
LOOP_AFTER = """    for _ in range(epochs):
        optimizer.zero_grad()
"""
HEAD_MESSAGE = "Clear the gradients once an epoch instead of once a batch"


class TerminalConsole:
    """Prints what the action says; the tests' own output is indented."""

    def __init__(self) -> None:
        self._line_start = True

    def say(self, text: str) -> None:
        """Print a sentence of ours."""
        print(f"  {text}", flush=True)

    def show(self, data: bytes) -> None:
        """Print what the tests have written."""
        for line in data.decode("utf-8", "replace").splitlines(keepends=True):
            print(f"{'    ' * self._line_start}{line}", end="", flush=True)
            self._line_start = line.endswith("\n")

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Print a title."""
        print(f"\n  {title}", flush=True)
        yield

    def annotate(self, annotations: Sequence[Annotation]) -> None:
        """Leave lines of code unmarked: the report names them."""

    def summarise(self, markdown: str) -> None:
        """Leave the summary out: it repeats the comment."""

    def output(self, outputs: Mapping[str, str]) -> None:
        """Leave the outputs out: no later step reads them."""


@dataclass(frozen=True)
class Demo:
    """What the demo made: the pull request's answer, and where its comment and page lie."""

    answer: Answer
    comment: Path
    page: Path


def play(directory: Path) -> Demo:
    """Play the demo in an empty directory and return what came out.

    Args:
        directory: Gets ``origin.git``, ``work``, ``github`` and ``comment.html``.

    Raises:
        HostError: A package is missing.
    """
    _refuse_without(PACKAGES)
    base, head = _lay_out(directory)
    hub = OfflineHub(directory / "github")
    print("\n▶ push to main: the tests run and their record becomes the baseline", flush=True)
    _checkout(directory, "main")
    act(_push(base), INPUTS, _outside(directory, hub))
    print(f"\n▶ pull request #1: {HEAD_MESSAGE}", flush=True)
    _checkout(directory, "faster")
    answer = act(_pull_request(base, head), INPUTS, _outside(directory, hub))
    page = directory / "comment.html"
    comment = directory / "github" / "comment-1.md"
    page.write_text(report.page(comment.read_text("utf-8")), "utf-8")
    return Demo(answer=answer, comment=comment, page=page)


def _refuse_without(packages: Sequence[str]) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        remedy = 'Install it: pip install pytest torch "torchproof[action,demo]".'
        raise HostError(f"the demo needs {', '.join(missing)}", remedy)


def _lay_out(directory: Path) -> tuple[str, str]:
    """Make the repository: a sound main branch, and a branch with the bug."""
    work = directory / "work"
    _git(directory, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    shutil.copytree(asset("examples/digits"), work, ignore=shutil.ignore_patterns("__pycache__"))
    with open(work / "pyproject.toml", "a", encoding="utf-8") as file:
        # The net is so small that threads only wait for each other.
        file.write(f'python = {json.dumps(sys.executable)}\nenv = {{ OMP_NUM_THREADS = "1" }}\n')
    _git(work, "init", "--quiet", "--initial-branch=main")
    _git(work, "remote", "add", "origin", str(directory / "origin.git"))
    base = _commit(work, "Read handwritten digits with a small CNN", "main")
    _git(work, "switch", "--quiet", "--create", "faster")
    train = work / "digits" / "train.py"
    source = train.read_text("utf-8")
    train.write_text(source.replace(BEFORE, AFTER).replace(LOOP_BEFORE, LOOP_AFTER), "utf-8")
    return base, _commit(work, HEAD_MESSAGE, "faster")


def _commit(work: Path, message: str, branch: str) -> str:
    _git(work, "add", "--all")
    _git(work, "commit", "--quiet", "--message", message)
    _git(work, "push", "--quiet", "origin", branch)
    return _git(work, "rev-parse", "HEAD").strip()


def _checkout(directory: Path, branch: str) -> None:
    _git(directory / "work", "switch", "--quiet", branch)


def _git(directory: Path, *arguments: str) -> str:
    person = {"NAME": "Ada", "EMAIL": "ada@example.org"}
    environ = {f"GIT_{who}_{k}": v for who in ("AUTHOR", "COMMITTER") for k, v in person.items()}
    done = subprocess.run(
        ["git", "-c", "core.hooksPath=/dev/null", *arguments],
        cwd=directory,
        env={**os.environ, **environ},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def _outside(directory: Path, hub: OfflineHub) -> Outside:
    workspace = directory / "work"
    console = TerminalConsole()
    return Outside(
        workspace=workspace,
        hub=hub,
        console=console,
        open_history=lambda branch: History(str(directory / "origin.git"), branch=branch),
        open_seal=lambda settings, workspace=workspace: open_seal(
            settings,
            workspace=workspace,
            wanted="open",
            run_id=f"demo-{uuid.uuid4().hex}",
            secrets_present=False,
            say=console.say,
        ),
        lease=_no_gpu,
        clock=lambda: datetime.now(UTC),
    )


def _no_gpu() -> AbstractContextManager[Lease]:
    return nullcontext()  # type: ignore[return-value]


def _run(number: int) -> Run:
    return Run(
        id=str(number),
        number=number,
        attempt=1,
        job="torchproof",
        workflow_path=".github/workflows/torchproof.yml",
        server_url="https://github.com",
        api_url="https://api.github.com",
        self_hosted=False,
    )


def _push(sha: str) -> Event:
    return Event(
        name="push",
        repository=REPOSITORY,
        default_branch="main",
        sha=sha,
        ref="refs/heads/main",
        branch="main",
        run=_run(1),
    )


def _pull_request(base: str, head: str) -> Event:
    request = PullRequest(
        number=1,
        head_sha=head,
        head_ref="faster",
        base_sha=base,
        base_ref="main",
        head_repository=REPOSITORY,
        fork=False,
    )
    return Event(
        name="pull_request",
        action="opened",
        repository=REPOSITORY,
        default_branch="main",
        sha=head,
        ref="refs/pull/1/merge",
        branch="faster",
        pull_request=request,
        run=_run(2),
    )
