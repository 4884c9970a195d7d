"""Which tiers run for an event, where, and who sees the answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torchproof.errors import ConfigError, TrustError, UsageError
from torchproof.plan import NO_COMMIT, Event, PullRequest, Request, Run, make_plan
from torchproof.settings import Inputs, Settings


HEAD, MERGE, BASE = "a" * 40, "b" * 40, "c" * 40
GPU = Inputs(gpu_runner="gpu")


def run(*, self_hosted=False):
    return Run(
        id="77",
        number=5,
        attempt=1,
        job="torchproof",
        workflow_path=".github/workflows/torchproof.yml",
        server_url="https://github.com",
        api_url="https://api.github.com",
        self_hosted=self_hosted,
    )


def event(name, *, self_hosted=False, **fields):
    defaults = {"sha": MERGE, "ref": "refs/heads/main", "branch": "main"}
    return Event(
        name=name,
        repository="ada/digits",
        default_branch="main",
        run=run(self_hosted=self_hosted),
        **{**defaults, **fields},
    )


def pull_request(*, fork=False, action="synchronize", **fields):
    request = PullRequest(
        number=7,
        head_sha=HEAD,
        head_ref="faster",
        base_sha=BASE,
        base_ref="main",
        head_repository="eve/digits" if fork else "ada/digits",
        fork=fork,
    )
    return event("pull_request", action=action, pull_request=request, **fields)


def plan(what, inputs=Inputs(), settings=Settings()):  # noqa: B008 - both are frozen
    return make_plan(what, settings, inputs)


def tiers(found):
    return [job.tier for job in found.jobs]


def test_a_pull_request_is_proven_here_and_answered_in_a_comment():
    found = plan(pull_request())
    assert tiers(found) == ["unit", "overfit"]
    assert found.surfaces == {"comment", "check", "summary"}
    assert found.store
    assert found.base == BASE


def test_with_a_gpu_runner_the_gpu_tiers_are_handed_over():
    found = plan(pull_request(), GPU)
    assert tiers(found) == ["unit"]
    assert found.dispatched == ("overfit", "integration")


def test_the_nightly_run_hands_every_gpu_tier_over():
    found = plan(event("schedule"), GPU)
    assert set(tiers(found)) == {"unit"}
    assert found.dispatched == ("overfit", "integration", "nightly")


def test_the_input_tiers_also_says_what_the_gpu_runner_gets():
    found = plan(pull_request(), Inputs(gpu_runner="gpu", tiers="unit overfit"))
    assert tiers(found) == ["unit"]
    assert found.dispatched == ("overfit",)


def test_a_fork_gets_the_unit_tier_and_a_summary_and_never_the_gpu_runner():
    found = plan(pull_request(fork=True), Inputs(gpu_runner="gpu", tiers="integration"))
    assert tiers(found) == ["unit"]
    assert found.surfaces == {"summary"}
    assert not found.dispatched
    assert not found.store


def test_a_fork_on_a_self_hosted_runner_is_refused():
    with pytest.raises(TrustError, match="self-hosted"):
        plan(pull_request(fork=True, self_hosted=True))


@pytest.mark.parametrize("name", ["pull_request_target", "workflow_run", "issue_comment"])
def test_events_that_hold_secrets_are_refused(name):
    with pytest.raises(TrustError, match="Use the event pull_request"):
        plan(event(name))


def test_an_unknown_event_is_one_sentence():
    with pytest.raises(UsageError, match="gollum is not one"):
        plan(event("gollum"))


def test_a_push_to_main_is_stored_and_another_branch_is_not():
    assert plan(event("push")).store
    other = plan(event("push", branch="try", ref="refs/heads/try"), GPU)
    assert not other.store
    assert not other.dispatched
    assert other.surfaces == {"summary"}


def test_the_nightly_run_takes_all_tiers_with_several_seeds():
    found = plan(event("schedule"), settings=Settings(seed=10, seeds=2))
    seeds = {job.tier: [] for job in found.jobs}
    for job in found.jobs:
        seeds[job.tier].append(job.seed)
    assert {*seeds} == {"unit", "overfit", "integration", "nightly"}
    assert all(len(each) == 2 for each in seeds.values())
    assert found.compact


def test_every_night_draws_fresh_seeds_beside_the_projects_own():
    nights = [nightly_seeds(number) for number in range(1, 30)]
    fresh = [seed for own, *rest in nights for seed in rest]
    assert {own for own, *_ in nights} == {10}
    assert len(fresh) == len({*fresh, 10}) - 1 == 2 * len(nights)


def nightly_seeds(number):
    scheduled = event("schedule")
    scheduled = replace(scheduled, run=replace(scheduled.run, number=number))
    found = plan(scheduled, settings=Settings(seed=10, seeds=3))
    return [job.seed for job in found.jobs if job.tier == "unit"]


def test_a_merge_group_is_compared_with_its_base():
    found = plan(event("merge_group", before=BASE))
    assert found.base == BASE
    assert not found.store


@pytest.mark.parametrize(
    "what",
    [
        pull_request(action="closed"),
        event("push", sha=NO_COMMIT),
        event("merge_group", action="destroyed"),
    ],
)
def test_some_events_leave_nothing_to_do(what):
    found = plan(what)
    assert found.nothing
    assert not found.jobs


def test_the_input_tiers_replaces_what_suits_the_event():
    assert tiers(plan(event("push"), Inputs(tiers="unit, integration"))) == ["unit", "integration"]


def test_an_unknown_tier_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"no tier 'unti'\. Known tiers: unit, overfit"):
        plan(event("push"), Inputs(tiers="unti"))


def request(**changes):
    values = {
        "sha": MERGE,
        "head_sha": HEAD,
        "base_sha": BASE,
        "branch": "faster",
        "event": "pull_request",
        "tiers": ("overfit", "integration"),
        "nonce": "n1",
        "order": (5, 1),
        "pull_request": 7,
        "check": 99,
    }
    return Request(**{**values, **changes})


def dispatched(what, runner="", **fields):
    inputs = {"runner": runner, "request": what}
    return event("workflow_dispatch", self_hosted=True, inputs=inputs, **fields)


def test_a_request_survives_its_input():
    assert Request.from_json(request().to_json()) == request()


def test_the_gpu_run_does_what_was_asked_and_finishes_the_comment_and_check():
    found = plan(dispatched(request().to_json()), GPU)
    assert [(job.tier, job.gpu) for job in found.jobs] == [("overfit", True), ("integration", True)]
    assert found.surfaces == {"comment", "check", "summary"}
    assert found.request == request()
    assert not found.dispatched


def test_the_gpu_run_of_a_nightly_takes_the_seeds_of_the_night_that_asked():
    asked = request(event="schedule", pull_request=None, order=(5, 1))
    found = plan(dispatched(asked.to_json()))
    assert [job.seed for job in found.jobs] == [0, 11, 12] * 2


def test_a_workspace_at_another_commit_is_refused():
    with pytest.raises(UsageError, match=r"fromJSON\(inputs.request\).sha"):
        plan(dispatched(request().to_json(), sha=BASE))


@pytest.mark.parametrize("text", ["x", "{}", "[]", '{"sha": 1}', request(sha="zz").to_json()])
def test_a_request_written_by_hand_is_one_sentence(text):
    with pytest.raises(UsageError, match="not written by torchproof"):
        plan(dispatched(text))


def again(**changes):
    fields = {"event": "bisect", "pull_request": None, "check": None, "tiers": ("unit",), "seed": 5}
    return request(**{**fields, **changes})


def test_what_is_run_again_is_one_tier_with_one_seed_shown_in_the_summary_alone():
    asked = again(tiers=("integration",))
    found = plan(dispatched(asked.to_json(), runner="gpu"))
    assert [(job.tier, job.seed, job.gpu) for job in found.jobs] == [("integration", 5, True)]
    assert found.surfaces == {"summary"}
    assert (found.activity, found.store, found.dispatched) == ("requested", True, ())


def test_what_is_run_again_on_the_workflows_own_runner_takes_no_gpu():
    found = plan(dispatched(again(tiers=("integration",)).to_json()), GPU)
    assert [(job.tier, job.gpu) for job in found.jobs] == [("integration", False)]


@pytest.mark.parametrize("changes", [{"event": "push"}, {"seed": None}])
def test_a_seed_of_its_own_is_never_a_run_of_main(changes):
    with pytest.raises(UsageError, match="was not written by torchproof"):
        plan(dispatched(again(**changes).to_json()))


def test_a_workflow_started_by_hand_without_a_request_runs_what_a_push_runs():
    assert tiers(plan(event("workflow_dispatch"))) == ["unit", "overfit"]
