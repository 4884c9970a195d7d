"""torchproof bisect by the repository's own workflow: a strict fake GitHub, and jobs it starts."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.cli.metric_project import BROKEN, GUILTY, LENGTH, MetricProject
from tests.fake_github.http_server import running
from tests.samples import GPU, metric, outcome, record
from tests.stages.scene import REPOSITORY, Notebook, Scene, ScriptedSeal, a_gpu

from torchproof.commands.dispatched_runner import Workflow, dispatched_runner, lately
from torchproof.errors import HostError, HubError, TorchproofError
from torchproof.history.series import Place, load
from torchproof.history.store import History
from torchproof.hub import GitHub
from torchproof.settings import Inputs
from torchproof.stages import Outside, act


TOKEN = "ghs_somebodys"
WORKFLOW = "torchproof.yml"
RUN_NAME = "torchproof ${{ fromJSON(inputs.request).nonce }}"
DISPATCHED = ("--runner", "dispatched", "--gpu-runner", "gpu", "--tier", "integration")
TEST = "test_quality.py::test_quality"
H100 = Place("cuda", "NVIDIA H100", "x86_64")


class GpuRunner:
    """Runs what was dispatched, as soon as somebody looks at the list of runs."""

    def __init__(self, scene, github):
        self.scene, self.github, self.lease = scene, github, a_gpu
        self.directory = scene.origin.parent / "jobs"
        self.directory.mkdir()
        self.consoles = []
        self.start()

    def start(self):
        self.github.before["actions/list-workflow-runs"] = self._serve

    def stop(self):
        self.github.before.clear()

    def _serve(self):
        for run in self.github.world.data["runs"]:
            if run["status"] == "queued":
                run["status"] = "in_progress"
                self._job(run)
                run["status"] = "completed"

    def _job(self, run):
        """Check out what the request says, and let the action deal with it."""
        scene, workspace = self.scene, self.directory / str(run["id"])
        sha = json.loads(run["inputs"]["request"])["sha"]
        scene.git("clone", "-q", "--no-checkout", str(scene.origin), str(workspace))
        scene.git("checkout", "-q", "--detach", sha, at=workspace)
        event = scene.event("workflow_dispatch", sha="c" * 40, inputs=run["inputs"])
        event = replace(event, run=replace(event.run, id=str(run["id"]), self_hosted=True))
        self.consoles.append(Notebook())
        outside = Outside(
            workspace=workspace,
            hub=GitHub(REPOSITORY, token=TOKEN, api_url=self.github.api_url),
            console=self.consoles[-1],
            open_history=lambda branch: History(scene.remote, branch=branch, patience=1.0),
            open_seal=lambda settings: ScriptedSeal(
                self.directory / "seal", workspace, {"integration": _tests(workspace)}
            ),
            lease=self.lease,
            clock=scene._clock,
        )
        try:
            act(event, Inputs(gpu_runner="gpu"), outside)
        except TorchproofError as error:
            self.consoles[-1].say(str(error))


def _tests(workspace):
    """Play the project's test, with a noise that comes from the seed."""
    if (workspace / "test_quality.py").read_text() == BROKEN:
        return []
    level = float((workspace / "level.txt").read_text())

    def items(seed):
        loss = random.Random(seed).gauss(level, 0.1)
        return [outcome(TEST), metric("loss", loss, test=TEST, better="lower")]

    return items


@pytest.fixture
def github(monkeypatch):
    with running() as fake:
        fake.world.add_repository(REPOSITORY)
        fake.world.add_token(TOKEN, permissions={"actions": "write", "contents": "read"})
        path = f".github/workflows/{WORKFLOW}"
        fake.world.add_workflow(REPOSITORY, path, inputs=("runner", "request"), run_name=RUN_NAME)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        monkeypatch.setenv("GITHUB_API_URL", fake.api_url)
        yield fake


@pytest.fixture
def scene(tmp_path, monkeypatch):
    scene = Scene(tmp_path)
    monkeypatch.chdir(scene.work)
    return scene


@pytest.fixture
def project(scene):
    """Give a history whose stored runs were made on a GPU."""
    project = MetricProject(scene)
    numbers = [*range(10), *range(10, LENGTH, 2)]
    project.store(numbers, tier="integration", environment={"hardware": GPU})
    return project


@pytest.fixture
def runner(scene, project, github):
    return GpuRunner(scene, github)


def span(project):
    return project.commits[9], project.commits[-1]


def requests_of(github):
    return [json.loads(run["inputs"]["request"]) for run in github.world.data["runs"]]


def test_the_guilty_commit_is_found_by_runs_of_the_repositorys_own_workflow(
    torchproof, scene, project, github, runner
):
    stored = len(scene.records())
    result = torchproof("bisect", "loss", *span(project), *DISPATCHED, "--json")
    assert result.code == 0, result.err
    assert result.json["commit"] == project.commits[GUILTY]
    asked = requests_of(github)
    assert 0 < len(asked) == result.json["runs"]
    assert {(each["event"], *each["tiers"]) for each in asked} == {("bisect", "integration")}
    assert {run["inputs"]["runner"] for run in github.world.data["runs"]} == {"gpu"}
    again = scene.records()[stored:]
    assert {(r.source.tested, r.seed) for r in again} == {(r["sha"], r["seed"]) for r in asked}
    assert {r.source.event for r in again} == {"bisect"}


def test_such_a_run_shows_a_summary_alone_and_is_none_of_main(
    torchproof, scene, project, github, runner
):
    torchproof("bisect", "loss", *span(project), *DISPATCHED, "--budget", "2")
    kinds = {request["path"].rpartition("/")[2] for request in github.world.data["requests"]}
    assert kinds == {"runs", "dispatches"}
    assert all(len(console.summaries) == 1 for console in runner.consoles)
    with History(str(scene.origin)) as history:
        line = load(history, scene.git("rev-parse", "main"))
    assert len(line.again) == len(runner.consoles)
    assert "bisect" not in {made.source.event for made in line.records}


def test_a_search_that_is_made_again_starts_nothing_twice(torchproof, project, github, runner):
    first = torchproof("bisect", "loss", *span(project), *DISPATCHED, "--json")
    made = len(github.world.data["runs"])
    second = torchproof("bisect", "loss", *span(project), *DISPATCHED, "--json")
    assert len(github.world.data["runs"]) == made
    assert second.json == first.json


def test_a_run_that_leaves_no_record_is_passed_over(torchproof, project, github, runner):
    def none():
        raise HostError("no GPU became free in 3600 s", "Add one to the runner.")

    runner.lease = none
    result = torchproof("bisect", "loss", *span(project), *DISPATCHED, "--budget", "3", "--json")
    assert result.json["runs"] == 0
    assert result.err.count("is over and has left no record.") == 3
    assert result.err.count("no metric") == 3


def test_a_run_that_waits_is_not_waited_for_for_ever_and_is_found_later(
    scene, project, github, runner
):
    now, commit = [0.0], project.commits[15]
    hub = GitHub(REPOSITORY, token=TOKEN, api_url=github.api_url)

    def sleep(seconds):
        now[0] += seconds

    with History(scene.remote) as history:
        train = dispatched_runner(
            hub,
            history,
            Workflow(WORKFLOW, "main", "gpu"),
            H100,
            patience=60.0,
            say=lambda _: None,
            clock=lambda: now[0],
            sleep=sleep,
        )
        runner.stop()
        with pytest.raises(HubError) as late:
            train("integration", commit, 7)
        assert now == [60.0]
        (run,) = github.world.data["runs"]
        said = str(late.value)
        assert f"/actions/runs/{run['id']} has left no record of {commit[:12]} in 1 min." in said
        assert "search again later, which starts nothing twice" in said
        runner.start()
        assert train("integration", commit, 7).source.run_id == str(run["id"])
    assert len(github.world.data["runs"]) == 1


def test_runs_of_long_ago_do_not_tell_about_the_environment_of_now():
    now = datetime.now(UTC)
    ages = [timedelta(days=40), timedelta(days=4), timedelta(hours=20), timedelta()]
    again = [record(started=(now - age).isoformat(timespec="seconds")) for age in ages]
    assert lately(again) == again[2:]


def test_runs_of_another_machine_end_the_search(torchproof, project, github, runner):
    hosted = ("--runner", "dispatched", "--tier", "integration")
    result = torchproof("bisect", "loss", *span(project), *hosted)
    assert result.code == 2
    assert "was made on cpu x86_64, the stored ones on NVIDIA H100 x86_64" in result.err
    assert result.err.endswith("Name the label of their runner with --gpu-runner.\n")


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("GITHUB_TOKEN", "GITHUB_TOKEN is not set. Set it to a token with `actions: write`"),
        ("GITHUB_REPOSITORY", "GITHUB_REPOSITORY is not set. Set it to OWNER/NAME."),
    ],
)
@pytest.mark.usefixtures("github")
def test_without_a_repository_to_ask_it_is_one_sentence(
    torchproof, scene, monkeypatch, variable, sentence
):
    monkeypatch.delenv(variable)
    monkeypatch.delenv("GH_TOKEN", raising=False)
    scene.push()
    result = torchproof("bisect", "loss", "main~1", "main", *DISPATCHED)
    assert result.code == 2
    assert sentence in result.sentence
