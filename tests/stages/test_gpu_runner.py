"""With a GPU runner: one run asks, another one on the GPU answers in the same comment."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import product

from tests.samples import metric, outcome
from tests.stages.scene import GPU, WORKFLOW

from torchproof.errors import HostError, HubError


def test_the_gpu_tiers_are_dispatched_after_the_unit_tier_passed(scene):
    answer = scene.pull_request(inputs=GPU)
    assert answer.exit_code == 0
    assert [made.tier for made in answer.records] == ["unit"]
    (dispatch,) = scene.dispatches()
    assert (dispatch["workflow"], dispatch["ref"]) == (WORKFLOW, "faster")
    assert dispatch["inputs"]["runner"] == "gpu"


def test_the_request_says_what_to_test_and_what_to_finish(scene):
    scene.pull_request(inputs=GPU)
    (dispatch,) = scene.dispatches()
    request = json.loads(dispatch["inputs"]["request"])
    assert request["sha"] == scene.git("rev-parse", "HEAD")
    assert request["head_sha"] == scene.git("rev-parse", "faster")
    assert request["base_sha"] == scene.git("rev-parse", "main")
    assert request["tiers"] == ["overfit", "integration"]
    assert (request["pull_request"], request["check"], request["base_ref"]) == (7, 1, "main")
    assert request["nonce"] == dispatch["nonce"]


def test_meanwhile_the_comment_says_queued_and_the_check_stays_open(scene):
    scene.pull_request(inputs=GPU)
    assert "`integration` and `overfit` queued" in scene.comment()
    assert "on the runner gpu, run 1" in scene.comment()
    assert scene.checks()[0]["status"] == "in_progress"
    assert scene.console.outputs["pending"] == "true"


def test_the_requested_run_finishes_the_same_comment_and_check(scene):
    scene.pull_request(inputs=GPU)
    answer = scene.requested()
    assert answer.exit_code == 0
    assert [made.tier for made in answer.records] == ["overfit", "integration"]
    assert "queued" not in scene.comment()
    assert "3 checks pass" in scene.comment()
    (check,) = scene.checks()
    assert (check["status"], check["conclusion"]) == ("completed", "success")


def test_what_ran_on_the_gpu_is_stored_as_part_of_the_asking_run(scene):
    scene.pull_request(inputs=GPU)
    scene.requested()
    overfit = next(made for made in scene.records() if made.tier == "overfit")
    assert overfit.source.event == "pull_request"
    assert overfit.source.pull_request == 7
    assert overfit.fingerprint["hardware"]["gpu"] == "NVIDIA H100"


def test_a_failure_on_the_gpu_closes_the_check_as_failed(scene):
    scene.pull_request(inputs=GPU)
    scene.tests["overfit"] = [outcome("test_one_batch", "failed", message="did not learn")]
    assert scene.requested().exit_code == 1
    assert "1 of 3 checks fails" in scene.comment()
    assert scene.checks()[0]["conclusion"] == "failure"


def test_only_the_newest_attempt_of_the_asking_run_counts(scene):
    scene.tests["unit"] = [outcome("test_shapes", "failed")]
    scene.pull_request(inputs=GPU)
    scene.tests["unit"] = [outcome("test_shapes")]
    scene.again()
    assert scene.requested().exit_code == 0
    assert "3 checks pass" in scene.comment()


def test_a_late_asking_run_does_not_overwrite_what_the_gpu_run_said(scene):
    scene.pull_request(inputs=GPU)
    scene.requested()
    finished = scene.comment()
    number, attempt = json.loads(scene.dispatches()[0]["inputs"]["request"])["order"]
    posted = scene.hub.upsert_comment(7, "queued", marker="default", order=(number, attempt, 0))
    assert posted.action == "superseded"
    assert scene.comment() == finished


def test_no_gpu_time_is_spent_after_the_unit_tier_failed(scene):
    scene.tests["unit"] = [outcome("test_shapes", "failed")]
    assert scene.pull_request(inputs=GPU).exit_code == 1
    assert not scene.dispatches()
    assert "so no GPU time was spent" in scene.comment()
    assert scene.checks()[0]["conclusion"] == "failure"


def test_where_only_gpu_tiers_are_wanted_they_are_dispatched_at_once(scene):
    answer = scene.pull_request(inputs=replace(GPU, tiers="integration"))
    assert answer.exit_code == 0
    assert not answer.records
    assert len(scene.dispatches()) == 1


def test_a_dispatch_that_fails_is_a_row_with_its_remedy(scene):
    def refuse(*_, **__):
        raise HubError("GitHub would not start the workflow", "Add workflow_dispatch to it.")

    scene.hub.dispatch = refuse
    answer = scene.pull_request(inputs=GPU)
    assert answer.exit_code == 0
    assert "Add workflow_dispatch to it." in scene.comment()
    assert "would not start the workflow" in scene.console.outputs["report-status"]
    assert scene.checks()[0]["status"] == "completed"


def test_a_gpu_that_cannot_be_had_is_a_row(scene):
    def none():
        raise HostError("no GPU became free in 3600 s", "Add one to the runner.")

    scene.pull_request(inputs=GPU)
    scene.lease = none
    answer = scene.requested()
    assert answer.exit_code == 1
    assert "no GPU became free in 3600 s" in scene.comment()
    assert {made.tier for made in scene.records()} == {"unit"}


def test_the_night_runs_every_tier_with_several_seeds_and_compacts(scene):
    seeds = 2
    scene.now -= timedelta(days=10)
    scene.push({"torchproof.toml": f"seeds = {seeds}\n"})
    scene.now += timedelta(days=10)
    answer = scene.nightly()
    assert answer.exit_code == 0
    night = [made for made in scene.records() if made.source.event == "schedule"]
    own, fresh = sorted({made.seed for made in night})
    assert own == 0
    tiers = ("unit", "overfit", "integration", "nightly")
    assert {(made.tier, made.seed) for made in night} == {*product(tiers, (own, fresh))}
    files = scene.git("ls-tree", "-r", "--name-only", "torchproof-history", at=scene.origin)
    assert sum(name.startswith("archive/") for name in files.split()) == 1
    assert sum(name.startswith("runs/") for name in files.split()) == 4 * seeds


def test_the_nights_gpu_tiers_take_several_seeds_too(scene):
    scene.push({"torchproof.toml": "seeds = 2\n"})
    scene.tests["integration"] = [outcome("test_quality"), metric()]
    scene.nightly(GPU)
    answer = scene.requested()
    own, fresh = sorted({made.seed for made in answer.records})
    assert own == 0
    tiers = ("overfit", "integration", "nightly")
    jobs = [(made.tier, made.seed) for made in answer.records]
    assert jobs == [*product(tiers, (own, fresh))]
    assert {made.source.event for made in answer.records} == {"schedule"}
