"""Events as GitHub sends them (payloads after @octokit/webhooks-examples), and odd ones."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchproof.errors import UsageError
from torchproof.hub import events
from torchproof.plan import NO_COMMIT


PAYLOADS = Path(__file__).parent / "payloads"
SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
ENVIRON = {
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_JOB": "proof",
    "GITHUB_REF": "refs/heads/master",
    "GITHUB_REPOSITORY": "Codertocat/Hello-World",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_RUN_ID": "1658821493",
    "GITHUB_RUN_NUMBER": "57",
    "GITHUB_SHA": SHA,
    "GITHUB_WORKFLOW_REF": "Codertocat/Hello-World/.github/workflows/ci.yml@refs/heads/master",
    "RUNNER_ENVIRONMENT": "github-hosted",
}


def payload(name):
    return json.loads((PAYLOADS / f"{name}.json").read_text("utf-8"))


def read(body, name="push", **environ):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return events.read({**ENVIRON, "GITHUB_EVENT_NAME": name, **environ}, data)


def test_a_push_to_a_branch():
    event = read(payload("push"))
    assert (event.name, event.repository) == ("push", "Codertocat/Hello-World")
    assert (event.branch, event.default_branch) == ("master", "master")
    assert (event.sha, event.before) == (SHA, NO_COMMIT)
    assert event.pull_request is None


def test_the_run_is_the_runners_own():
    run = read(payload("push")).run
    assert (run.id, run.number, run.attempt, run.job) == ("1658821493", 57, 2, "proof")
    assert run.workflow_path == ".github/workflows/ci.yml"
    assert (run.server_url, run.api_url) == ("https://github.com", "https://api.github.com")
    assert not run.self_hosted


def test_an_enterprise_server_is_where_its_variables_say():
    run = read({}, GITHUB_SERVER_URL="https://g.corp/", GITHUB_API_URL="https://g.corp/api/v3").run
    assert (run.server_url, run.api_url) == ("https://g.corp", "https://g.corp/api/v3")


@pytest.mark.parametrize("kind", ["", "self-hosted"])
def test_a_machine_that_is_not_githubs_is_self_hosted(kind):
    assert read({}, RUNNER_ENVIRONMENT=kind).run.self_hosted


def test_a_tag_is_no_branch():
    assert read(payload("push_tag"), GITHUB_REF="refs/tags/simple-tag").branch == ""


def test_a_deleted_branch_has_no_commit():
    assert read(payload("push_deleted")).sha == NO_COMMIT


def test_a_pull_request_of_the_repository_itself():
    event = read(payload("pull_request_opened"), "pull_request", GITHUB_REF="refs/pull/2/merge")
    request = event.pull_request
    assert (event.action, event.sha, event.branch) == ("opened", SHA, "changes")
    assert (request.number, request.head_ref, request.base_ref) == (2, "changes", "master")
    assert request.head_sha == "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
    assert request.base_sha == "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
    assert not request.fork


def test_a_new_commit_of_a_pull_request_names_the_one_before():
    event = read(payload("pull_request_synchronize"), "pull_request")
    assert (event.action, event.before) == (
        "synchronize",
        "f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
    )


def test_a_pull_request_from_a_fork():
    body = payload("pull_request_synchronize")
    body["pull_request"]["head"]["repo"]["full_name"] = "mallory/Hello-World"
    event = read(body, "pull_request")
    assert event.from_fork
    assert event.pull_request.head_repository == "mallory/Hello-World"


def test_a_fork_that_was_deleted_is_a_fork():
    body = payload("pull_request_opened")
    body["pull_request"]["head"]["repo"] = None
    request = read(body, "pull_request").pull_request
    assert (request.fork, request.head_repository) == (True, None)


def test_a_number_may_be_text():
    body = payload("pull_request_opened")
    body["pull_request"]["number"] = "2"
    assert read(body, "pull_request").pull_request.number == 2


def test_a_merge_group_names_its_base():
    event = read(payload("merge_group"), "merge_group")
    assert event.action == "checks_requested"
    assert event.before == "380387fbc80638b734a49e1be1c4dfec1c01b33c"


def test_a_schedule_knows_the_default_branch():
    assert read(payload("schedule"), "schedule").default_branch == "main"


def test_inputs_of_a_dispatch_are_texts():
    body = payload("workflow_dispatch")
    body["inputs"] = {"request": '{"a":1}', "fast": True, "seeds": 3, "empty": None}
    inputs = read(body, "workflow_dispatch").inputs
    assert inputs == {"request": '{"a":1}', "fast": "true", "seeds": "3"}


def test_a_dispatch_without_inputs_has_none():
    assert read({**payload("workflow_dispatch"), "inputs": None}, "workflow_dispatch").inputs == {}


@pytest.mark.parametrize("empty", [b"", b"  \n", b"{}"])
def test_an_empty_payload_is_understood(empty):
    assert read(empty).branch == "master"


def test_an_absent_file_counts_as_empty(tmp_path):
    event = events.read_file({**ENVIRON, "GITHUB_EVENT_PATH": str(tmp_path / "none.json")})
    assert event.sha == SHA


def test_a_file_is_read(tmp_path):
    file = tmp_path / "event.json"
    file.write_bytes((PAYLOADS / "push.json").read_bytes())
    assert events.read_file({**ENVIRON, "GITHUB_EVENT_PATH": str(file)}).default_branch == "master"


def test_a_folder_in_place_of_the_file_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        events.read_file({**ENVIRON, "GITHUB_EVENT_PATH": str(tmp_path)})


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"\xff\xfe{}", b"[" * 100_000])
def test_what_is_not_an_event_is_one_sentence(body):
    with pytest.raises(UsageError, match=r"^the event "):
        read(body)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("number",), None),
        (("number",), True),
        (("number",), "7; rm -rf /"),
        (("number",), "\N{ARABIC-INDIC DIGIT SEVEN}"),
        (("head", "sha"), "abc"),
        (("head", "sha"), "../../etc/passwd"),
        (("head", "ref"), "a\n::set-output name=x::y"),
        (("head", "ref"), None),
        (("head", "repo"), "octo/model"),
        (("head", "repo", "full_name"), "octo/model/../.."),
        (("base", "sha"), 12),
        (("base",), []),
        (("head",), None),
    ],
)
def test_a_hostile_pull_request_is_one_sentence(path, value):
    body = payload("pull_request_opened")
    place = body["pull_request"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(UsageError, match="the event is not one GitHub sends: "):
        read(body, "pull_request")


@pytest.mark.parametrize("name", ["GITHUB_EVENT_NAME", "GITHUB_REPOSITORY", "GITHUB_SHA"])
def test_a_missing_variable_is_named(name):
    environ = {key: value for key, value in ENVIRON.items() if key != name}
    with pytest.raises(UsageError, match=f"{name} is not set"):
        events.read(environ, b"{}")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
keys = st.sampled_from(
    ["action", "after", "before", "deleted", "inputs", "merge_group", "pull_request", "repository"]
)


@given(body=st.dictionaries(keys, values))
def test_any_payload_is_understood_or_refused(body):
    with suppress(UsageError):
        assert read(body).sha in (SHA, NO_COMMIT)
