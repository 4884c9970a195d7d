"""Check runs, dispatches, and what every request has in common."""

from __future__ import annotations

import logging
import sys

import pytest

from torchproof.errors import HubError, PermissionMissing, UsageError
from torchproof.hub import Annotation, GitHub


SHA = "a" * 40
WORKFLOW = ".github/workflows/torchproof.yml"
REQUEST = {"runner": "gpu", "request": '{"nonce":"n1"}'}
both_flavours = pytest.mark.parametrize("github", ["github.com", "ghes"], indirect=True)


def opened(hub):
    return hub.open_check(SHA, name="torchproof", external_id="run-1")


def finished(hub, check, **details):
    hub.finish_check(check, conclusion="success", title="fine", summary="all of it", **details)


@both_flavours
@pytest.mark.parametrize("talk", [0, 300])
def test_a_whole_pull_request_takes_few_calls(github, hub, connect, capsys, talk):
    for number in range(talk):
        old = github.world.add_comment("octo/model", 7, f"comment {number}")
        old["updated_at"] = "2026-01-01T00:00:00Z"
    check = opened(hub)
    hub.upsert_comment(7, "GPU tiers queued", marker="default", order=(12, 1, 0))
    hub.dispatch(WORKFLOW, ref="topic", inputs=REQUEST, nonce="n1")
    gpu = connect()
    gpu.upsert_comment(7, "all done", marker="default", order=(12, 1, 1))
    finished(gpu, check)
    made = github.world.data["requests"]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{hub.calls} API calls on the hosted runner, {gpu.calls} on the GPU's\n"
        )
    assert hub.calls + gpu.calls == len(made) <= 15


@both_flavours
def test_a_check_is_opened_in_progress_and_then_completed(github, hub):
    check = opened(hub)
    (seen,) = github.world.data["checks"]
    assert (seen["status"], seen["head_sha"], seen["conclusion"]) == ("in_progress", SHA, None)
    finished(hub, check)
    assert (seen["status"], seen["conclusion"]) == ("completed", "success")
    assert seen["output"]["title"] == "fine"


@pytest.mark.parametrize("effect", [False, True])
def test_a_check_whose_answer_was_lost_is_opened_once(github, hub, effect):
    github.fail("reset", method="POST", effect=effect)
    (check,) = {opened(hub)}
    assert [item["id"] for item in github.world.data["checks"]] == [check]


def test_annotations_go_out_in_batches_of_fifty(github, hub):
    check = opened(hub)
    marks = [Annotation(path="net.py", line=n, message=f"remark {n}") for n in range(1, 121)]
    finished(hub, check, annotations=marks)
    assert hub.calls == 1 + 3
    lines = [mark["start_line"] for mark in github.world.data["checks"][0]["annotations"]]
    assert lines == list(range(1, 121))


def test_annotations_are_not_doubled_when_an_answer_was_lost(github, hub):
    check = opened(hub)
    github.fail("reset", method="PATCH", effect=True)
    finished(hub, check, annotations=[Annotation(path="net.py", line=3, message="here")])
    assert len(github.world.data["checks"][0]["annotations"]) == 1


def test_only_an_app_may_open_checks(github, connect):
    github.world.add_token("ghs_reader", permissions={"contents": "read"})
    with pytest.raises(PermissionMissing, match="open a check run") as caught:
        opened(connect("ghs_reader"))
    assert "checks: write" in caught.value.remedy


def test_a_dispatch_names_the_run_it_started(github, hub):
    started = hub.dispatch(WORKFLOW, ref="main", inputs=REQUEST, nonce="n1")
    (run,) = github.world.data["runs"]
    assert started.run_id == run["id"]
    assert started.url.endswith(f"/octo/model/actions/runs/{run['id']}")
    assert (run["head_branch"], run["inputs"]) == ("main", REQUEST)


@pytest.mark.parametrize("github", ["ghes"], indirect=True)
def test_an_enterprise_server_without_run_details_is_asked_again(github, hub):
    assert hub.dispatch(WORKFLOW, ref="main", inputs=REQUEST, nonce="n1").run_id is None
    assert len(github.world.data["runs"]) == 1


@pytest.mark.parametrize("kind", ["reset", "status", "html", "truncated"])
def test_a_dispatch_whose_answer_was_lost_is_found(github, hub, kind):
    github.fail(kind, method="POST", effect=True)
    started = hub.dispatch(WORKFLOW, ref="main", inputs=REQUEST, nonce="n1")
    assert [started.run_id] == [run["id"] for run in github.world.data["runs"]]


def test_a_dispatch_that_had_no_effect_is_made_again(github, hub):
    github.fail("status", method="POST")
    hub.dispatch(WORKFLOW, ref="main", inputs=REQUEST, nonce="n1")
    assert len(github.world.data["runs"]) == 1


def test_without_a_nonce_a_lost_dispatch_is_not_repeated(github, hub):
    github.fail("reset", method="POST", effect=True)
    with pytest.raises(HubError, match="did not say whether it started"):
        hub.dispatch(WORKFLOW, ref="main", inputs=REQUEST)
    assert len(github.world.data["runs"]) == 1


def test_a_run_is_found_by_its_nonce_and_known_to_be_over(github, hub):
    def found():
        return hub.find_run(WORKFLOW, ref="main", nonce="n1")

    assert found() is None
    started = hub.dispatch(WORKFLOW, ref="main", inputs=REQUEST, nonce="n1")
    assert found() == started
    assert not found().over
    github.world.data["runs"][0]["status"] = "completed"
    assert found().over
    assert hub.find_run(WORKFLOW, ref="main", nonce="n2") is None


def test_a_dispatch_of_unknown_inputs_says_what_github_says(hub):
    with pytest.raises(HubError, match="Unexpected inputs provided") as caught:
        hub.dispatch(WORKFLOW, ref="main", inputs={"colour": "red"}, nonce="n1")
    assert "on the default branch" in caught.value.remedy


def test_a_workflow_that_is_not_there_is_one_sentence(hub):
    with pytest.raises(HubError, match=r"would not start the workflow .* Not Found \(404\)"):
        hub.dispatch("other.yml", ref="main", inputs={}, nonce="n1")


@both_flavours
def test_a_pull_request_is_looked_up(github, hub):
    github.world.add_pull("octo/model", 8, head_repository="mallory/model")
    assert hub.pull_request(7).base_ref == "main"
    assert not hub.pull_request(7).fork
    assert hub.pull_request(8).fork


def test_a_pull_request_that_is_not_there_is_one_sentence(hub):
    with pytest.raises(HubError, match=r"would not show the pull request #99: Not Found"):
        hub.pull_request(99)


@pytest.mark.parametrize("kind", ["reset", "truncated", "cut-json", "html", "status"])
def test_a_read_is_made_again_after_every_kind_of_broken_answer(github, hub, kind):
    github.fail(kind, method="GET", times=3)
    assert hub.pull_request(7).number == 7
    assert hub.calls == 4


@pytest.mark.parametrize("kind", ["reset", "truncated", "cut-json", "html", "status"])
def test_an_answer_that_stays_broken_is_one_error(github, hub, waits, kind):
    github.fail(kind, times=99)
    with pytest.raises(HubError, match="did not show the pull request #7"):
        hub.pull_request(7)
    assert sum(waits) < 16


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        ({"kind": "secondary-limit", "seconds": 17}, 17),
        ({"kind": "secondary-limit"}, 60),
        ({"kind": "too-many", "seconds": 5}, 5),
        ({"kind": "too-many"}, 60),
        ({"kind": "primary-limit", "seconds": 30}, pytest.approx(31, abs=2)),
    ],
)
def test_a_rate_limit_is_waited_out(github, hub, waits, fault, wait):
    github.fail(**fault)
    assert opened(hub)
    assert waits == [wait]
    assert len(github.world.data["checks"]) == 1


def test_a_rate_limit_too_far_away_is_not_waited_for(github, hub, waits):
    github.fail("primary-limit", seconds=3600)
    with pytest.raises(HubError, match="rate limit exceeded") as caught:
        opened(hub)
    assert waits == []
    assert caught.value.remedy == "Run the job again in 60 minute(s)."


def test_all_waits_of_a_run_together_are_bounded(github, hub, waits):
    github.fail("secondary-limit", times=99)
    for _ in range(5):
        with pytest.raises(HubError):
            hub.pull_request(7)
    assert sum(waits) <= 120


def test_many_writes_are_spaced_out_and_few_are_not(hub, waits):
    for number in range(12):
        hub.upsert_comment(7, f"text {number}", marker="default", order=(number,))
    assert waits == [1.0, 1.0]


def test_a_wrong_token_is_one_sentence(connect):
    with pytest.raises(HubError, match=r"Bad credentials \(401\)") as caught:
        opened(connect("ghs_expired"))
    assert "github-token" in caught.value.remedy


def test_no_token_is_one_sentence(connect):
    with pytest.raises(HubError, match="there is no GitHub token"):
        opened(connect(""))


def test_a_server_that_is_not_there_is_one_sentence(waits):
    hub = GitHub("a/b", token="ghs_x", api_url="http://127.0.0.1:9/api/v3", sleep=waits.append)
    with pytest.raises(HubError, match="the connection failed") as caught:
        hub.pull_request(1)
    assert "http://127.0.0.1:9/api/v3" in caught.value.remedy


@pytest.mark.parametrize("address", ["", "github.example", "ftp://github.example"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(UsageError, match="GITHUB_API_URL"):
        GitHub("a/b", token="ghs_x", api_url=address)


def test_the_token_is_in_no_log_and_in_no_error(github, connect, caplog):
    canary = github.world.add_token("ghs_canary_1234567890")
    github.fail("echo", times=5)
    with caplog.at_level(logging.DEBUG), pytest.raises(HubError) as caught:
        connect(canary).pull_request(7)
    assert "***" in str(caught.value)
    assert canary not in str(caught.value) + repr(caught.value) + caplog.text
    assert caplog.records
