"""The runner's ways with a Docker action, on a toy action that has torchproof's entrypoint."""

from __future__ import annotations

import json

import pytest


pytestmark = pytest.mark.docker


def run(toy, what, **given):
    return toy.run("push", {}, inputs={"what": what}, **given)


def test_a_step_reports_through_its_files_and_its_log(toy):
    result = run(toy, "succeed")
    assert result.exit_code == 0, result.log
    assert result.outputs == {"passed": "true", "long": "one\ntwo"}
    assert result.state == {"CONTAINER": "abc"}
    assert result.summary == "# fine\n"
    assert [(command.name, command.data) for command in result.commands] == [("notice", "proved")]


def test_the_state_reaches_the_post_step(toy):
    result = run(toy, "succeed")
    assert "post step with state abc" in toy.post("push", result.state).log


def test_an_exit_code_passes_through(toy):
    assert run(toy, "fail").exit_code == 1


def test_a_summary_that_is_too_large_is_refused_whole(toy):
    result = run(toy, "write_too_much")
    assert result.summary == ""
    assert "upload aborted" in result.errors[0]


def test_files_that_root_leaves_in_the_workspace_are_seen(toy):
    assert run(toy, "leave_files").root_owned == ("left", "left/file")


def test_what_earlier_steps_leak_does_not_reach_torchproof(toy):
    leaked = {
        "LD_LIBRARY_PATH": "/opt/hostedtoolcache/Python/3.9/lib",
        "PATH": "/nowhere",
        "PYTHONHOME": "/nowhere",
        "PYTHONPATH": "/github/workspace",
        "REQUESTS_CA_BUNDLE": "/etc/host-only.pem",
        "TMPDIR": "/home/runner/tmp",
        "VIRTUAL_ENV": "/home/runner/.venv",
        "pythonLocation": "/opt/hostedtoolcache/Python/3.9",
    }
    result = run(toy, "environment", env={**leaked, "UV_INDEX_URL": "https://index.invalid"})
    seen = json.loads(result.outputs["environment"])
    assert not set(leaked) - {"PATH"} & set(seen)
    assert seen["PATH"].startswith("/opt/torchproof/bin:")
    assert seen["UV_INDEX_URL"] == "https://index.invalid"
    assert seen["INPUT_GITHUB-TOKEN"] == "ghs_token"
    assert seen["GITHUB_WORKSPACE"] == "/github/workspace"
