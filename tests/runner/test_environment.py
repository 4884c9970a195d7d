"""The environment of a Docker action."""

from __future__ import annotations

from pathlib import Path

from tests.runner.environment import Folders, github_variables, input_variables


FOLDERS = Folders(Path("/home/runner/work"), "octo/digits")
ROOT = Path(__file__).parents[2]


def test_a_host_path_below_a_mount_is_translated():
    workspace = "/home/runner/work/digits/digits"
    assert FOLDERS.translate(workspace) == "/github/workspace"
    assert FOLDERS.translate(f"{workspace}/a/b") == "/github/workspace/a/b"
    assert FOLDERS.translate("/home/runner/work/_temp/_github_home") == "/github/home"
    assert FOLDERS.translate("/home/runner/work/_temp/x") == "/github/runner_temp/x"


def test_a_path_within_a_longer_text_stays():
    for value in ("/home/runner/work/digits/digits2", "a:/home/runner/work/_temp", ""):
        assert FOLDERS.translate(value) == value


def test_inputs_keep_their_dashes_and_get_their_defaults():
    inputs = dict(input_variables(ROOT / "action.yml", {"gpu-runner": "gpu"}, "ghs_token"))
    assert inputs["INPUT_GITHUB-TOKEN"] == "ghs_token"
    assert inputs["INPUT_GPU-RUNNER"] == "gpu"
    assert inputs["INPUT_WORKING-DIRECTORY"] == "."


def test_single_variables_can_be_set():
    variables = github_variables(FOLDERS, "push", {"GITHUB_SHA": "1" * 40})
    assert variables["GITHUB_SHA"] == "1" * 40
    assert variables["GITHUB_EVENT_NAME"] == "push"
    assert "GITHUB_TOKEN" not in variables
