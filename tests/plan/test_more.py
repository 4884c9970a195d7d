"""How many further seeds a pull request may run, and which."""

from dataclasses import replace

import pytest

from torchproof.plan import Job, Plan, Request, more_jobs


PLAN = Plan(
    activity="pull-request", jobs=(Job(tier="unit", seed=5), Job(tier="overfit", seed=5, gpu=True))
)
RAN = [("unit", 5), ("overfit", 5)]


def test_only_the_undecided_tier_runs_further_with_seeds_of_its_own():
    jobs = more_jobs(PLAN, RAN, {"overfit": 2}, most=8)
    assert jobs == (Job(tier="overfit", seed=6, gpu=True), Job(tier="overfit", seed=7, gpu=True))
    assert [
        job.seed for job in more_jobs(PLAN, [*RAN, ("overfit", 6)], {"overfit": 1}, most=8)
    ] == [7]


def test_runs_that_are_paired_with_main_take_its_seeds_and_no_others():
    partners = {"overfit": (90, 5, 80, 70)}
    ran = [*RAN, ("overfit", 90)]
    chosen = more_jobs(PLAN, ran, {"overfit": 2, "unit": 1}, partners, most=8)
    assert {job.seed for job in chosen if job.tier == "overfit"} == {80, 70}
    assert [job.seed for job in chosen if job.tier == "unit"] == [6]
    assert more_jobs(PLAN, ran, {"overfit": 3}, partners, most=8) == ()


def test_nothing_runs_where_nothing_is_wanted():
    assert more_jobs(PLAN, RAN, {}, most=8) == ()
    assert more_jobs(PLAN, RAN, {"elsewhere": 1}, most=8) == ()


def test_what_could_not_be_decided_within_the_budget_is_not_begun():
    assert more_jobs(PLAN, RAN, {"overfit": 2}, most=2) == ()
    assert more_jobs(PLAN, RAN, {"overfit": 1}, most=1) == ()
    assert len(more_jobs(PLAN, RAN, {"overfit": 1}, most=2)) == 1


@pytest.mark.parametrize("activity", ["push", "nightly", "merge-group", "by-hand"])
def test_only_pull_requests_spend(activity):
    assert more_jobs(replace(PLAN, activity=activity), RAN, {"overfit": 1}, most=8) == ()


@pytest.mark.parametrize(("number", "jobs"), [(7, 1), (None, 0)])
def test_a_gpu_run_spends_where_a_pull_request_asked_for_it(number, jobs):
    request = Request(
        sha="a" * 40,
        head_sha="a" * 40,
        base_sha="b" * 40,
        branch="faster",
        event="pull_request" if number else "push",
        tiers=("overfit",),
        nonce="n",
        pull_request=number,
    )
    plan = replace(PLAN, activity="requested", request=request)
    assert len(more_jobs(plan, RAN, {"overfit": 1}, most=8)) == jobs
