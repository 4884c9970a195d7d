"""A repository, its GitHub and its tests, small enough to act one event after the other.

Git, the history and all stages are real. The hub writes files instead of comments, and the test
process is played: it writes the events that a test prepares and ends.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from tests.samples import ENVIRONMENT, metric, outcome

from torchproof.history.store import History
from torchproof.hub.offline import OfflineHub
from torchproof.plan import Event, PullRequest, Run
from torchproof.record import FAILED, Curve, EventWriter, Finding, Leak, Metric, Outcome
from torchproof.run.lease import Lease
from torchproof.run.seal import Completed
from torchproof.settings import Inputs
from torchproof.stages import Outside, act


REPOSITORY = "ada/digits"
WORKFLOW = ".github/workflows/torchproof.yml"
PLAIN, GPU = Inputs(), Inputs(gpu_runner="gpu")
EVENTS = "--torchproof-events="
KINDS = {Curve: "curve", Finding: "finding", Leak: "leak", Metric: "metric", Outcome: "test-end"}


@dataclass(frozen=True)
class Fact:
    """One fact of a fingerprint, as a test leaves it."""

    kind: str
    name: str
    value: str


KINDS[Fact] = "fingerprint"


class ScriptedSeal:
    """Plays the test process; ``uv`` is what the making of the environment dies of."""

    name = "scripted"

    def __init__(self, directory, workspace, tests, uv=""):
        directory.mkdir(exist_ok=True)
        self.workspace = PurePosixPath(workspace)
        self.plugin = self.results = self.cache = PurePosixPath(directory)
        self.results_here = directory
        self.tests, self.uv = tests, uv

    def run(self, command, *, on_output):
        file = next((a.removeprefix(EVENTS) for a in command.argv if a.startswith(EVENTS)), None)
        if file is None:
            on_output(self.uv.encode())
            return Completed(exit_code=int(bool(self.uv)), seconds=1)
        tier, _, seed = PurePosixPath(file).stem.rpartition("-s")
        on_output(f"running {tier} tests\n".encode())
        code = play(file, tier, int(seed), self.tests.get(tier, ()), on_output)
        return Completed(exit_code=code, seconds=2)

    def close(self):
        for file in self.results_here.iterdir():
            file.unlink()


def play(file, tier, seed, items, on_output):
    """Write the events of a pytest run; a text among the items is printed, an exception raised.

    Items that depend on the seed come as a function of it.
    """
    items = items(seed) if callable(items) else items
    writer = EventWriter(file)
    fingerprint = {"environment": ENVIRONMENT}
    writer.write("session-start", tier=tier, seed=seed, fingerprint=fingerprint)
    failed = False
    for item in items:
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, str):
            on_output(item.encode())
            continue
        writer.write(KINDS[type(item)], **asdict(item))
        failed |= isinstance(item, Outcome) and item.outcome in FAILED
    code = 5 if not items else int(failed)
    writer.write("session-end", exit_code=code, seconds=1.5)
    writer.close()
    return code


class Notebook:
    """A console that keeps what it is told."""

    def __init__(self):
        self.said, self.summaries, self.annotations, self.outputs = [], [], [], {}
        self.shown = b""

    def say(self, text):
        self.said.append(text)

    def show(self, data):
        self.shown += data

    @contextmanager
    def group(self, title):
        yield

    def annotate(self, annotations):
        self.annotations += annotations

    def summarise(self, markdown):
        self.summaries.append(markdown)

    def output(self, outputs):
        self.outputs = dict(outputs)


class Scene:
    """What may be changed between two events: ``tests`` (by tier), ``hub``, ``seal``, ``lease``…

    Every event method returns the `Answer`; ``console`` holds what was said about the last one.
    """

    def __init__(self, directory):
        self.origin, self.work = directory / "origin.git", directory / "work"
        self.github = directory / "github"
        self.hub = OfflineHub(self.github)
        self.console = Notebook()
        self.remote = str(self.origin)
        self.tests = {
            "unit": [outcome("test_shapes"), metric(tolerance=0.01)],
            "overfit": [outcome("test_one_batch")],
            "integration": [outcome("test_quality")],
            "nightly": [outcome("test_long")],
        }
        self.uv = ""
        self.seal = lambda settings: ScriptedSeal(
            directory / "seal", self.work, self.tests, self.uv
        )
        self.lease = a_gpu
        self.now = datetime.now(UTC)
        self.runs = 0
        self._lay_out()

    def push(self, files=None, *, branch="main", inputs=PLAIN, **fields):
        sha = self.commit(branch, files)
        return self.act(self.event("push", sha=sha, branch=branch, **fields), inputs)

    def pull_request(self, files=None, *, inputs=PLAIN, fork=False, number=7, **fields):
        """Commit to the branch ``faster`` and test its merge with main."""
        head, base = self.commit("faster", files), self.git("rev-parse", "main")
        tree = self.git("merge-tree", "--write-tree", "main", "faster")
        merge = self.git("commit-tree", tree, "-p", base, "-p", head, "-m", "Merge faster")
        self.git("push", "-q", "-f", "origin", f"{merge}:refs/pull/{number}/merge")
        request = PullRequest(
            number=number,
            head_sha=head,
            head_ref="faster",
            base_sha=base,
            base_ref="main",
            head_repository="eve/digits" if fork else REPOSITORY,
            fork=fork,
        )
        event = self.event("pull_request", sha=merge, branch="faster", pull_request=request)
        return self.act(replace(event, **fields), inputs)

    def nightly(self, inputs=PLAIN):
        return self.act(self.event("schedule", sha=self.git("rev-parse", "main")), inputs)

    def requested(self, number=-1):
        """Play the run on the GPU runner that was dispatched."""
        inputs = self.dispatches()[number]["inputs"]
        sha = json.loads(inputs["request"])["sha"]
        event = self.event("workflow_dispatch", sha=sha, branch="faster", inputs=inputs)
        return self.act(replace(event, run=replace(event.run, self_hosted=True)), GPU)

    def again(self):
        """Run the last event's workflow once more."""
        event, inputs = self.last
        run = replace(event.run, attempt=event.run.attempt + 1)
        return self.act(replace(event, run=run), inputs)

    def act(self, event, inputs):
        self.console, self.last = Notebook(), (event, inputs)
        if not event.deleted:
            self.git("checkout", "-q", "--detach", event.sha)
        outside = Outside(
            workspace=self.work,
            hub=self.hub,
            console=self.console,
            open_history=lambda branch: History(self.remote, branch=branch, patience=1.0),
            open_seal=self.seal,
            lease=self.lease,
            clock=self._clock,
        )
        return act(event, inputs, outside)

    def event(self, name, *, sha, branch="main", **fields):
        self.runs += 1
        run = Run(
            id=str(1000 + self.runs),
            number=self.runs,
            attempt=1,
            job="torchproof",
            workflow_path=WORKFLOW,
            server_url="https://github.com",
            api_url="https://api.github.com",
            self_hosted=False,
        )
        defaults = {"repository": REPOSITORY, "default_branch": "main", "run": run}
        defaults |= {"ref": f"refs/heads/{branch}", "branch": branch}
        return Event(name=name, sha=sha, **{**defaults, **fields})

    def commit(self, branch, files=None):
        self.git("checkout", "-q", "-B", branch, branch if self._has(branch) else "main")
        for path, text in (files or {}).items():
            (self.work / path).write_text(text, "utf-8")
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", f"Change {branch}")
        self.git("push", "-q", "origin", branch)
        return self.git("rev-parse", "HEAD")

    def records(self):
        """Return what the history holds, oldest first."""
        with History(str(self.origin)) as history:
            return history.records()

    def comment(self, number=7):
        return (self.github / f"comment-{number}.md").read_text("utf-8")

    def checks(self):
        files = sorted(self.github.glob("check-*.json"))
        return [json.loads(file.read_text("utf-8")) for file in files]

    def dispatches(self):
        file = self.github / "dispatches.json"
        return json.loads(file.read_text("utf-8")) if file.exists() else []

    def git(self, *arguments, at=None):
        who = {"NAME": "Ada", "EMAIL": "ada@example.org"}
        env = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
        done = subprocess.run(
            ["git", *arguments],
            cwd=at or self.work,
            env={**os.environ, **env, "GIT_CONFIG_GLOBAL": os.devnull},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.strip()

    def _clock(self):
        self.now += timedelta(seconds=1)
        return self.now

    def _has(self, branch):
        return bool(self.git("branch", "--list", branch)) or branch == "main"

    def _lay_out(self):
        self.work.mkdir()
        self.git("init", "-q", "--bare", "-b", "main", str(self.origin))
        for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            self.git("config", key, "true", at=self.origin)
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", str(self.origin))
        self.git("commit", "-q", "--allow-empty", "-m", "Begin")


@contextmanager
def a_gpu():
    yield Lease(uuid="GPU-1", name="NVIDIA H100", driver="580.1", cuda="13.0")
