"""What an answer means, and that no run of bad luck makes two of anything."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fake_github.http_server import running

from torchproof.errors import HubError
from torchproof.hub import Annotation, GitHub
from torchproof.hub.failures import Answer, Call, judge


READ = Call(verb="GET", path="/", purpose="read", holds=("id",))
WORKFLOW = ".github/workflows/torchproof.yml"
BROKEN = ("reset", "truncated", "cut-json", "html", "status")
LIMITED = ("primary-limit", "secondary-limit", "too-many")


def test_an_answer_is_what_was_expected():
    assert judge(READ, 200, {}, '{"id": 7}') == Answer(data={"id": 7}, headers={})


@pytest.mark.parametrize("text", ["", "<html>", '{"id"', "[]", "null", "{}", "[" * 100_000])
def test_a_fine_status_with_another_body_is_unclear(text):
    assert judge(READ, 200, {}, text).kind == "unclear"


@pytest.mark.parametrize("text", ["", "<html>", "[]", '{"message": 7}', '{"message": "x"}'])
@pytest.mark.parametrize(
    ("status", "kind"), [(302, "refused"), (404, "refused"), (429, "busy"), (500, "unclear")]
)
def test_the_status_counts_whatever_the_body_is(status, kind, text):
    assert judge(READ, status, {}, text).kind == kind


def test_the_wait_for_a_reset_is_by_githubs_clock():
    """The machine's own clock may be hours away."""
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    headers = {
        "date": format_datetime(long_ago, usegmt=True),
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(long_ago.timestamp()) + 90),
    }
    text = '{"message": "API rate limit exceeded for installation ID 1."}'
    assert judge(READ, 403, headers, text).wait == 91


def test_details_of_a_validation_error_are_told():
    text = '{"message": "Validation Failed", "errors": [{"message": "Body is too long"}, "odd"]}'
    assert judge(READ, 422, {}, text).message == "Validation Failed Body is too long odd (422)"


broken = st.fixed_dictionaries({
    "kind": st.sampled_from(BROKEN),
    "method": st.sampled_from(["", "GET", "POST", "PATCH"]),
    "times": st.integers(1, 3),
    "effect": st.booleans(),
})  # fmt: skip
limited = st.fixed_dictionaries({
    "kind": st.sampled_from(LIMITED),
    "method": st.sampled_from(["", "GET", "POST", "PATCH"]),
    "seconds": st.sampled_from([0, 20, 4000]),
})  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(faults=st.lists(broken | limited, max_size=6))
def test_no_run_of_bad_luck_makes_two_of_anything(faults):
    waits = []
    with running() as github:
        _lay_out(github.world)
        hub = GitHub("octo/model", token="ghs_workflow", api_url=github.api_url, sleep=waits.append)
        for fault in faults:
            github.fail(**fault)
        _whole_pull_request(hub)
        github.faults.clear()
        hub.upsert_comment(7, "next run", marker="default", order=(2, 1))
        state = github.world.data
        assert len(state["comments"]) == 1
        assert len(state["runs"]) <= 1
        assert [len(check["annotations"]) for check in state["checks"]] in ([], [0], [1])
    assert sum(waits) <= 120


def _lay_out(world):
    world.add_repository("octo/model")
    world.add_token("ghs_workflow")
    world.add_pull("octo/model", 7)
    world.add_workflow("octo/model", WORKFLOW, inputs=("nonce",), run_name="${{ inputs.nonce }}")


def _whole_pull_request(hub):
    with suppress(HubError):
        hub.upsert_comment(7, "queued", marker="default", order=(1, 1))
    with suppress(HubError):
        hub.dispatch(WORKFLOW, ref="main", inputs={"nonce": "n1"}, nonce="n1")
    with suppress(HubError):
        check = hub.open_check("a" * 40, name="torchproof", external_id="1")
        marks = [Annotation(path="net.py", line=3, message="here")]
        hub.finish_check(check, conclusion="success", title="t", summary="s", annotations=marks)
