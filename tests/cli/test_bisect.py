"""torchproof bisect: real git, real runs of a project's own test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from tests.cli.metric_project import (
    GUILTY,
    LENGTH,
    MERGE,
    UNBUILDABLE,
    MetricProject,
)
from tests.stages.scene import Scene


@pytest.fixture
def scene(tmp_path, monkeypatch):
    scene = Scene(tmp_path)
    monkeypatch.chdir(scene.work)
    return scene


@pytest.fixture
def project(scene):
    """Give a history of which every second commit has a stored run, and some before all have."""
    project = MetricProject(scene)
    project.store([*range(10), *range(10, LENGTH, 2)])
    return project


def span(project):
    return project.commits[9], project.commits[-1]


def test_the_guilty_commit_is_found_in_a_real_history(torchproof, project):
    result = torchproof("bisect", "loss", *span(project), "--json")
    assert result.code == 0, result.err
    found = result.json
    assert (found["cause"], found["commit"]) == ("code", project.commits[GUILTY])
    assert found["probability"] >= 0.9
    assert 0 < found["runs"] <= 6
    assert found["candidates"] == LENGTH - 10, "of the merge, one"


def test_each_run_is_a_line_and_neither_checkout_nor_history_is_touched(torchproof, project, scene):
    (scene.work / "level.txt").write_text("edited\n")
    stored = scene.records()
    before = scene.git("status", "--porcelain=v2", "--branch"), scene.git("worktree", "list")

    result = torchproof("bisect", "loss", *span(project))
    assert result.out.startswith(project.commits[GUILTY][:7])
    assert "Commit 20: change something (Ada, " in result.out
    runs = [line for line in result.err.splitlines() if "%" in line]
    assert f"{len(runs)} runs" in result.out or "1 run" in result.out
    assert project.commits[GUILTY][:12] in runs[-1]
    assert "22 suspects on the line of first parents; 11 have stored runs" in result.err

    after = scene.git("status", "--porcelain=v2", "--branch"), scene.git("worktree", "list")
    assert before == after
    assert scene.records() == stored
    assert "\n" not in after[1], "one work tree"


def test_a_budget_bounds_the_runs_and_leaves_the_suspects(torchproof, project):
    result = torchproof("bisect", "loss", *span(project), "--budget", "0", "--json")
    assert result.json["runs"] == 0
    assert project.commits[GUILTY] in result.json["suspects"]
    assert result.code == (0 if result.json["probability"] >= 0.9 else 1)


def test_a_commit_that_does_not_build_is_passed_over(torchproof, scene):
    project = MetricProject(scene, guilty=UNBUILDABLE)
    project.store(range(10), level=1.0)
    good, bad = project.commits[UNBUILDABLE - 4], project.commits[UNBUILDABLE + 2]
    result = torchproof("bisect", "loss", good, bad, "--json")
    found = result.json
    assert {*found["suspects"]} <= {*project.commits[UNBUILDABLE : UNBUILDABLE + 2]}
    assert "no metric" in result.err


def test_a_moved_environment_is_no_commits_fault(torchproof, scene):
    """Stored runs of all commits are good; the oldest one is as bad as the newest when run now."""
    project = MetricProject(scene, guilty=0)
    older = {"environment": {"torch": "2.12.0", "python": "3.11.7"}}
    project.store(range(LENGTH), level=1.0, environment=older)
    result = torchproof("bisect", "loss", *span(project), "--json")
    found = result.json
    assert (found["cause"], found["commit"]) == ("environment", None)
    assert "torch" in {fact["name"] for fact in found["moved"]}
    assert result.code == 0


def test_what_the_budget_cannot_decide_is_1(torchproof, scene):
    project = MetricProject(scene, guilty=LENGTH)
    project.store(range(LENGTH), level=1.0)
    result = torchproof("bisect", "loss", *span(project), "--budget", "2", "--json")
    assert (result.code, result.json["runs"]) == (1, 2)
    assert result.json["probability"] < 0.9


def test_a_merge_that_is_to_blame_says_how_to_go_on(torchproof, scene):
    project = MetricProject(scene, guilty=MERGE)
    project.store(range(10), level=1.0)
    good, bad = project.commits[MERGE - 3], project.commits[MERGE + 3]
    result = torchproof("bisect", "loss", good, bad)
    assert result.out.startswith(project.commits[MERGE][:7])
    first, last = result.out.splitlines()[1].rpartition("GOOD ")[2].split(", BAD ")
    within = torchproof("bisect", "loss", first, last, "--json")
    assert within.json["commit"] == scene.git("rev-parse", "branch~1")


@pytest.mark.parametrize(
    ("good", "bad", "sentence"),
    [
        ("nowhere", "main", "'nowhere' is no commit. Name one of this repository."),
        ("main", "main~3", "main is no ancestor of main~3. Give their common ancestor"),
        ("main", "main", "no commit lies behind main. Give GOOD first, then BAD."),
    ],
)
def test_a_wrong_call_is_one_sentence(torchproof, project, good, bad, sentence):
    result = torchproof("bisect", "loss", good, bad)
    assert result.code == 2
    assert sentence in result.sentence


def test_an_unknown_metric_names_the_known_ones(torchproof, project):
    result = torchproof("bisect", "accuracy", *span(project))
    assert result.code == 2
    assert "the history has no metric 'accuracy'. It has loss (unit)." in result.sentence


def test_without_stored_runs_the_good_level_is_learned_first(torchproof, scene):
    project = MetricProject(scene)
    project.store([0])
    good, bad = project.commits[GUILTY - 3], project.commits[GUILTY + 3]
    result = torchproof("bisect", "loss", good, bad, "--json")
    assert result.json["commit"] == project.commits[GUILTY]
    assert result.err.count("learning the good level") == 6


def test_runs_that_cannot_tell_the_good_level_are_not_begun(torchproof, scene):
    project = MetricProject(scene)
    project.store([0])
    good, bad = project.commits[GUILTY - 3], project.commits[GUILTY + 3]
    result = torchproof("bisect", "loss", good, bad, "--budget", "3")
    assert result.code == 2
    assert "it takes 7 runs of the first commit, and 3 may be made" in result.err
    assert "learning the good level" not in result.err


def test_an_interrupted_search_leaves_nothing_behind(project, scene, tmp_path):
    """Ctrl-C goes to the search while the tests of a commit run."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    argv = [sys.executable, "-m", "torchproof.cli", "bisect", "loss", *span(project)]
    env = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    # Where this suite runs in a shell's background, Ctrl-C is ignored, and children inherit that.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        argv,
        env=env,
        stdout=pipe,
        stderr=pipe,
        text=True,
        preexec_fn=heard,  # noqa: PLW1509 - there is no other thread
    ) as search:
        while not list(temporary.glob("torchproof-bisect-*/commit/level.txt")):
            time.sleep(0.01)
        search.send_signal(signal.SIGINT)
        _, said = search.communicate(timeout=60)
    assert search.returncode == 130, said
    assert said.endswith("torchproof: stopped\n")
    assert list(temporary.iterdir()) == []
    assert scene.git("status", "--porcelain", "--untracked-files=no") == ""
