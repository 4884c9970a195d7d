"""The step on a runner without docker: what the job, GitHub and the log get to see."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from tests.action.step import MACHINE, NAME, TOKEN


PAYLOADS = Path(__file__).parents[1] / "hub/payloads"

TESTS = """
import os

def test_what_a_test_may_see(proof):
    names = " ".join(sorted(os.environ))
    assert "GITHUB_" not in names and "INPUT_" not in names and "RUNNER_" not in names
    proof.metric("sum", 4.0, better="higher", tolerance=0.5)

def test_talk():
    print("::set-output name=stolen::1")
    print("::add-mask::1")
"""
FILES = {"tests/test_sum.py": TESTS}


def payload(name, **changes):
    body = json.loads((PAYLOADS / f"{name}.json").read_text("utf-8"))
    body["repository"]["full_name"] = NAME
    return {**body, **changes}


def push(runner, **given):
    sha = runner.commit({**FILES, **given.pop("files", {})})
    body = payload("push", ref="refs/heads/main", after=sha)
    body["repository"]["default_branch"] = "main"
    return runner.step("push", body, variables={"GITHUB_SHA": sha}, **given)


def pull_request(runner, github, files, **given):
    base = runner.git("rev-parse", "HEAD")
    head = runner.commit(files, "topic")
    github.world.add_pull(NAME, 7, head_sha=head, base_sha=base)
    body = payload("pull_request_opened", number=7)
    subject = body["pull_request"]
    subject["number"] = 7
    for side, sha, ref in (("head", head, "topic"), ("base", base, "main")):
        subject[side] |= {"sha": sha, "ref": ref}
        subject[side]["repo"]["full_name"] = NAME
    return runner.step("pull_request", body, variables={"GITHUB_SHA": head}, **given)


def test_a_push_and_a_pull_request_go_the_whole_way(runner, github, interpreter):
    pushed = push(runner, files=interpreter)
    assert pushed.code == 0, pushed.log + pushed.errors
    worse = {"tests/test_sum.py": TESTS.replace("4.0", "2.0")}
    done = pull_request(runner, github, worse)
    assert done.code == 1, done.log + done.errors
    (comment,) = github.world.data["comments"]
    assert "`sum` is worse" in comment["body"].splitlines()[1]
    assert done.outputs["verdict"] == "worse"
    assert done.outputs["comment-url"].endswith(f"#issuecomment-{comment['id']}")
    assert "`sum`" in done.summary
    assert [check["conclusion"] for check in github.world.data["checks"]] == ["success", "failure"]
    _the_log_holds_no_secret(done)
    _the_tests_commanded_nothing(done)


def commands_with(text):
    """Return the command lines on this machine that hold a text."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(file.read_bytes().replace(b"\0", b" ").decode())
    return [line for line in lines if text in line]


def _the_log_holds_no_secret(done):
    assert done.log.startswith(f"::add-mask::{TOKEN}\n")
    assert done.log.count(TOKEN) == 1
    assert TOKEN not in done.errors + done.summary


def _the_tests_commanded_nothing(done):
    assert "set-output name=stolen" in done.log, "what the tests print is shown"
    for line in done.log.splitlines():
        assert not line.lstrip().startswith(("::set-output", "::add-mask::1"))
        assert "##[" not in line


def test_without_the_permission_to_comment_the_tests_still_count(runner, github, interpreter):
    push(runner, files=interpreter)
    github.world.add_token("ghs_poor", permissions={"contents": "write", "checks": "write"})
    done = pull_request(runner, github, {}, token="ghs_poor")
    assert done.code == 0, done.log
    assert "pull-requests: write" in done.outputs["report-status"]
    assert "pull-requests: write" in done.summary


def test_without_any_token_the_tests_still_count(runner, interpreter):
    done = push(runner, files=interpreter, token="")
    assert done.code == 0, done.log
    assert "github-token" in done.outputs["report-status"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_step_ends_its_tests_and_closes_the_check(runner, github, interpreter, number):
    wait = "import time\n\ndef test_wait():\n    time.sleep(600)\n"
    sha = runner.commit({**interpreter, "tests/test_wait.py": wait})
    body = payload("push", ref="refs/heads/main", after=sha)
    body["repository"]["default_branch"] = "main"
    step = runner.start("push", body, variables={"GITHUB_SHA": sha})
    for line in step.stdout:
        if "test session starts" in line:
            break
    assert commands_with(runner.run_id)
    step.send_signal(number)
    done = runner.finish(step)
    assert done.code == 130, done.log + done.errors
    (check,) = github.world.data["checks"]
    assert check["conclusion"] == "cancelled"
    assert "Traceback" not in done.log + done.errors
    assert not commands_with(runner.run_id)


def test_the_token_leaves_the_environment_first(runner):
    program = (
        "import os, torchproof.action as action; code = action.main([]);"
        "assert not [name for name in os.environ if 'TOKEN' in name]; exit(code)"
    )
    env = {**MACHINE, "INPUT_GITHUB-TOKEN": TOKEN}
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith(f"::add-mask::{TOKEN}\n::error title=torchproof::")


def test_a_workspace_without_a_checkout_is_one_line(runner):
    done = runner.step("push", payload("push"), variables={"GITHUB_SHA": "a" * 40})
    assert done.code == 3
    assert "the workspace holds no git checkout. Add a step with actions/checkout" in done.log
    assert len(done.error_lines) == 1
    assert "Traceback" not in done.log + done.errors


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"torchproof.toml": "\nsed = 1\n"}, "torchproof.toml:2: sed is not a key"),
        ({"pyproject.toml": "[tool.torchproof\n"}, "pyproject.toml: not TOML"),
    ],
)
def test_a_broken_configuration_is_one_line_with_its_place(runner, files, sentence):
    done = push(runner, files=files)
    assert done.code == 2
    assert sentence in done.error_lines[0]
    assert "Traceback" not in done.log + done.errors


@pytest.mark.parametrize("event", ["pull_request_target", "workflow_run", "issue_comment"])
def test_an_event_that_hands_secrets_to_strangers_is_refused(runner, event):
    runner.commit({})
    done = runner.step(event, payload("push"), variables={"GITHUB_SHA": "a" * 40})
    assert done.code == 4
    assert f"{event} hands secrets to code" in done.error_lines[0]


def test_a_forks_code_is_refused_on_a_self_hosted_runner(runner, github):
    runner.commit({})
    machine = {"GITHUB_SHA": runner.git("rev-parse", "HEAD"), "RUNNER_ENVIRONMENT": "self-hosted"}
    body = payload("pull_request_opened")
    body["pull_request"]["head"]["repo"]["full_name"] = "eve/model"
    done = runner.step("pull_request", body, variables=machine)
    assert done.code == 4
    assert "a fork's code must not run on a self-hosted runner" in done.error_lines[0]


@pytest.mark.parametrize("name", ["GITHUB_WORKSPACE", "GITHUB_EVENT_NAME", "GITHUB_REPOSITORY"])
def test_outside_a_workflow_it_says_which_variable_is_missing(runner, name):
    done = runner.step("push", payload("push"), variables={"GITHUB_SHA": "a" * 40, name: ""})
    assert done.code == 2
    assert f"{name} is not set" in done.error_lines[0]
    assert "Traceback" not in done.errors


def test_an_unknown_seal_is_one_line(runner):
    done = push(runner, inputs={"seal": "tight"})
    assert done.code == 2
    assert "seal: 'tight' is not a seal" in done.error_lines[0]


def test_a_working_directory_that_is_not_there_is_one_line(runner):
    done = push(runner, inputs={"working-directory": "nowhere"})
    assert done.code == 2
    assert "nowhere" in done.error_lines[0]


def test_the_post_step_without_docker_has_nothing_to_do(runner):
    done = runner.step("push", payload("push"), "post")
    assert (done.code, done.errors) == (0, "")
