"""torchproof detect: change points of a metric along main's real commits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.cli.metric_project import GUILTY, LENGTH, MetricProject
from tests.samples import GPU, metric, record
from tests.stages.scene import Scene

from torchproof.history.store import History
from torchproof.record import Source


@pytest.fixture
def scene(tmp_path, monkeypatch):
    scene = Scene(tmp_path)
    monkeypatch.chdir(scene.work)
    return scene


@pytest.fixture
def project(scene):
    project = MetricProject(scene)
    project.store(range(LENGTH))
    return project


def store(scene, *records):
    with History(str(scene.origin)) as history:
        history.append(records)


def test_a_step_for_the_worse_is_named_with_its_commit_and_size(torchproof, project):
    result = torchproof("detect", "loss")
    assert result.code == 1
    head, step, subject, now = result.out.splitlines()
    assert head == "loss (unit, lower is better): 32 runs of 32 commits on main"
    assert project.commits[GUILTY][:12] in step
    assert "1.0" in step.partition("→")[0]
    assert subject.strip() == "Commit 20: change something"
    assert now == "It is worse now."


def test_the_json_names_index_commit_date_and_size(torchproof, project):
    result = torchproof("detect", "loss", "--json")
    (change,) = result.json["changes"]
    assert change["index"] == GUILTY
    assert change["commit"] == project.commits[GUILTY]
    assert len(change["date"]) == 10
    assert 0.3 < change["size"] < 0.5
    assert (result.json["worse"], change["turns"]) == (True, [])


def test_the_order_is_that_of_the_commits_and_not_that_of_the_runs(torchproof, scene):
    """Old commits that ran last stand where they stand on main, and so does the step."""
    project = MetricProject(scene)
    project.store(range(8, LENGTH))
    project.store(range(8), seed=7, late=100)
    (change,) = torchproof("detect", "loss", "--json").json["changes"]
    assert project.commits.index(change["commit"]) == change["index"]
    assert abs(change["index"] - GUILTY) <= 1


def test_a_metric_that_is_back_is_0(torchproof, project, scene):
    made = []
    for number in range(8):
        commit = scene.commit("main", {"number.txt": f"later {number}"})
        source = Source("ada/digits", commit, commit, "main", "push", f"9{number}")
        template = next(each for each in scene.records() if each.tier == "unit")
        value = metric("loss", 1.0 + number / 100, test="test_quality.py::test_quality")
        value = replace(value, better="lower")
        made.append(replace(template, metrics=(value,), source=source))
    store(scene, *made)
    result = torchproof("detect", "loss")
    assert result.code == 0
    assert "back since run 33" in result.out


def test_pull_requests_and_runs_again_are_no_values_of_main(torchproof, project, scene):
    project.store([3, 4, 5], level=9.0, seed=5, event="pull_request")
    project.store([3, 4, 5], level=9.0, seed=6, event="bisect")
    result = torchproof("detect", "loss", "--json")
    assert result.json["runs"] == LENGTH


def test_runs_on_another_kind_of_machine_are_left_out(torchproof, project, scene):
    project.store([3, 4], level=9.0, seed=5, environment={"hardware": GPU})
    result = torchproof("detect", "loss")
    assert "32 runs of 32 commits on main; 2 runs on other machines are left out" in result.out


def test_a_run_that_left_the_metric_out_is_an_alarm(torchproof, project, scene):
    source = Source("ada/digits", project.commits[-1], project.commits[-1], "main", "push", "999")
    last = scene.records()[-1]
    store(scene, replace(last, metrics=(), source=source, seed=3, started=""))
    result = torchproof("detect", "loss")
    assert result.code == 1
    assert "the run left the metric out" in result.out


def test_a_name_that_two_tests_use_is_asked_for_in_one_sentence(torchproof, project, scene):
    commit = project.commits[-1]
    source = Source("ada/digits", commit, commit, "main", "push", "998")
    other = metric("loss", 2.0, test="test_other.py::test_loss", better="lower")
    store(scene, record(other, source=source))
    result = torchproof("detect", "loss")
    assert result.code == 2
    assert "2 tests record the metric 'loss'. Name one of them: test_other.py" in result.sentence
    assert torchproof("detect", "test_quality.py::test_quality::loss").code == 1


def test_a_name_that_two_tiers_use_is_asked_for_in_one_sentence(torchproof, project, scene):
    commit = project.commits[-1]
    source = Source("ada/digits", commit, commit, "main", "push", "997")
    same = metric("loss", 2.0, test="test_quality.py::test_quality", better="lower")
    store(scene, record(same, source=source, tier="integration"))
    result = torchproof("detect", "loss")
    assert (result.code, "Add --tier: integration, unit." in result.sentence) == (2, True)
    assert torchproof("detect", "loss", "--tier", "integration").code == 0


def test_a_metric_without_a_direction_is_one_sentence(torchproof, project, scene):
    commit = project.commits[-1]
    source = Source("ada/digits", commit, commit, "main", "push", "996")
    store(scene, record(metric("steps", 2.0, better=None), source=source))
    result = torchproof("detect", "steps")
    assert result.code == 2
    assert 'Record it with better="lower" or better="higher".' in result.sentence


def test_a_metric_that_is_nearly_spelled_is_suggested(torchproof, project):
    result = torchproof("detect", "los")
    assert result.code == 2
    assert result.sentence.endswith("the history has no metric 'los'. Did you mean loss?")


def test_a_history_of_one_run_is_counted_as_one(torchproof, scene):
    commit = scene.commit("main", None)
    source = Source("ada/digits", commit, commit, "main", "push", "997")
    store(scene, record(metric("recall", 0.9, better="higher"), source=source))
    head, *_ = torchproof("detect", "recall").out.splitlines()
    assert head.endswith("1 run of 1 commit on main")
