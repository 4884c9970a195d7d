"""A push makes the baseline, and a pull request is answered against it."""

from __future__ import annotations

import pytest
from tests.samples import finding, metric, outcome

from torchproof.plan import NO_COMMIT
from torchproof.settings import Inputs


WORSE = [outcome("test_shapes"), metric(value=0.8, tolerance=0.01)]


def first_line(text):
    return next(line for line in text.splitlines() if line and not line.startswith("<!--"))


def test_a_push_to_main_is_stored_with_its_source(scene):
    answer = scene.push()
    assert answer.exit_code == 0
    unit, overfit = scene.records()
    assert (unit.tier, overfit.tier) == ("unit", "overfit")
    assert (unit.source.event, unit.source.branch) == ("push", "main")
    assert unit.source.commit == unit.source.tested == scene.git("rev-parse", "main")
    assert unit.fingerprint["hardware"]["device"] == "cpu"


def test_a_push_is_shown_in_the_check_and_the_summary_and_nowhere_else(scene):
    scene.push()
    (check,) = scene.checks()
    assert (check["status"], check["conclusion"]) == ("completed", "success")
    assert check["sha"] == scene.git("rev-parse", "main")
    assert "no baseline" in scene.console.summaries[0]
    assert not list(scene.github.glob("comment-*"))


def test_a_pull_request_is_compared_with_what_it_would_be_merged_into(scene):
    scene.push()
    answer = scene.pull_request()
    assert answer.exit_code == 0
    assert answer.verdict.word == "not-worse"
    base = scene.git("rev-parse", "main")
    assert f"against `{base[:7]}`" in scene.comment()
    assert scene.checks()[-1]["sha"] == scene.git("rev-parse", "faster")


def test_a_worse_metric_fails_the_step_and_leads_the_comment(scene):
    scene.push()
    scene.tests["unit"] = WORSE
    answer = scene.pull_request()
    assert answer.exit_code == 1
    assert "val/accuracy" in first_line(scene.comment())
    assert scene.checks()[-1]["conclusion"] == "failure"
    assert scene.console.outputs["passed"] == "false"
    assert scene.console.outputs["worse"] == "1"
    assert scene.console.outputs["comment-url"].endswith("comment-7.md")
    assert scene.console.outputs["report-status"] == "complete"


def test_a_finding_is_named_with_its_line(scene):
    scene.push()
    scene.tests["unit"] = [outcome("test_training", "failed"), finding("stale-gradients")]
    assert scene.pull_request().exit_code == 1
    assert "stale-gradients" in first_line(scene.comment())
    (annotation,) = scene.console.annotations
    assert (annotation.path, annotation.line) == ("digits/model.py", 31)
    assert scene.checks()[-1]["annotations"][0]["path"] == "digits/model.py"


def test_a_pull_request_is_stored_and_never_becomes_a_baseline(scene):
    scene.push()
    scene.tests["unit"] = WORSE
    scene.pull_request()
    mine = [made for made in scene.records() if made.source.event == "pull_request"]
    assert {made.source.pull_request for made in mine} == {7}
    assert mine[0].source.commit == scene.git("rev-parse", "faster")
    assert mine[0].source.tested != mine[0].source.commit
    assert scene.pull_request().verdict.word == "worse"


def test_the_same_report_again_does_not_edit_the_comment(scene):
    scene.push()
    scene.pull_request()
    before = scene.comment()
    scene.again()
    assert scene.comment() == before
    scene.tests["unit"] = WORSE
    scene.again()
    assert scene.comment() != before


def test_a_fork_gets_a_summary_and_is_not_stored(scene):
    scene.push()
    stored = scene.records()
    scene.tests["unit"] = WORSE
    answer = scene.pull_request(fork=True, inputs=Inputs(gpu_runner="gpu"))
    assert answer.exit_code == 1
    assert "val/accuracy" in scene.console.summaries[0]
    assert scene.records() == stored
    assert not list(scene.github.glob("comment-*"))
    assert not scene.dispatches()
    assert len(scene.checks()) == 1


def test_projects_of_one_repository_have_a_comment_each(scene):
    for name in ("speech", "vision"):
        (scene.work / name).mkdir()
        scene.commit("main", {f"{name}/torchproof.toml": "seed = 0\n"})
        scene.pull_request(inputs=Inputs(working_directory=name))
    markers = [marker for _, marker in scene.hub._comments]
    assert markers == ["speech", "vision"]


@pytest.mark.parametrize(
    ("name", "fields", "why"),
    [
        ("pull_request", {"action": "closed"}, "the pull request is closed"),
        ("push", {"sha": NO_COMMIT}, "the branch was deleted"),
    ],
)
def test_where_there_is_nothing_to_do_nothing_is_done(scene, name, fields, why):
    event = scene.event(name, **{"sha": scene.git("rev-parse", "HEAD"), **fields})
    answer = scene.act(event, Inputs())
    assert answer.exit_code == 0
    assert answer.verdict is None
    assert scene.console.said == [f"Nothing to do: {why}."]
    assert scene.hub.calls == 0


def test_the_users_template_adds_its_block(scene):
    text = '{% extends "comment.md.j2" %}{% block extra %}Ask in #models.{% endblock %}'
    scene.pull_request({"mine.j2": text, "torchproof.toml": 'template = "mine.j2"\n'})
    assert "Ask in #models." in scene.comment()
    assert scene.console.outputs["report-status"] == "complete"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"mine.j2": "{% block %}"}, "mine.j2:1"),
        ({}, "there is no such template in the repository"),
    ],
)
def test_a_broken_template_is_said_and_ours_is_used(scene, files, sentence):
    scene.push()
    answer = scene.pull_request({**files, "torchproof.toml": 'template = "mine.j2"\n'})
    assert answer.exit_code == 0
    assert first_line(scene.comment()).startswith("### ✅ torchproof")
    for place in (scene.comment(), scene.console.outputs["report-status"], scene.console.said[-1]):
        assert sentence in place
