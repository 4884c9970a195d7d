"""What goes wrong around the tests is said, and the exit code stays the tests' own."""

from __future__ import annotations

import shutil

import pytest
from tests.samples import outcome

from torchproof.errors import ConfigError, HostError, HubError, PermissionMissing, TrustError
from torchproof.hub.offline import OfflineHub
from torchproof.settings import Inputs


LACKING = PermissionMissing(
    "GitHub would not write the comment: Resource not accessible by integration (403)",
    "Add the line to the job in the workflow file:\n\npermissions:\n  pull-requests: write\n\n",
)


class Unwilling(OfflineHub):
    """A hub that refuses whatever it is asked."""

    def refuse(self, *_, **__):
        raise LACKING

    open_check = finish_check = upsert_comment = dispatch = refuse


class Silent(OfflineHub):
    """A hub that takes the comment, and does not answer about check runs."""

    def open_check(self, *_, **__):
        raise HubError("GitHub did not open the check run", "Check githubstatus.com.")


def cannot(error):
    def refuse(*_):
        raise error

    return refuse


@pytest.mark.parametrize("ends", ["passed", "failed"])
def test_a_hub_that_refuses_does_not_change_the_exit_code(scene, ends):
    scene.push()
    scene.hub = Unwilling(scene.github)
    scene.tests["unit"][0] = outcome("test_shapes", ends)
    assert scene.pull_request().exit_code == (ends == "failed")
    for place in (scene.console.summaries[0], scene.console.outputs["report-status"]):
        assert "pull-requests: write" in place
    assert any("Not reported: GitHub would not write" in said for said in scene.console.said)
    assert len(scene.records()) == 4, "what ran is stored all the same"


def test_a_check_that_cannot_be_opened_is_said_in_the_comment(scene):
    scene.hub = Silent(scene.github)
    assert scene.pull_request().exit_code == 0
    assert "GitHub did not open the check run" in scene.comment()
    assert "did not open" in scene.console.outputs["report-status"]


@pytest.mark.parametrize("ends", ["passed", "failed"])
def test_a_history_that_cannot_be_read_is_said_and_not_taken_for_empty(scene, ends):
    scene.push()
    scene.remote = f"{scene.origin}-gone"
    scene.tests["unit"][0] = outcome("test_shapes", ends)
    assert scene.pull_request().exit_code == (ends == "failed")
    assert "no baseline: the history cannot be read" in scene.comment()
    assert "does not appear to be a git repository" in scene.console.outputs["report-status"]


def test_records_that_the_branch_refuses_wait_and_that_is_said(scene):
    hook = scene.origin / "hooks/update"
    hook.write_text('#!/bin/sh\ncase "$1" in */torchproof-history) exit 1;; esac\n')
    hook.chmod(0o755)
    assert scene.push().exit_code == 0
    assert "the records wait on refs/torchproof/inbox/" in scene.console.outputs["report-status"]
    assert "the records wait on" in scene.console.summaries[0]
    assert scene.pull_request().verdict.word == "not-worse", "they are found all the same"


def test_a_seal_that_cannot_be_opened_is_a_row_for_every_tier(scene):
    sentence = "running the tests as another user needs root"
    scene.seal = cannot(HostError(sentence, "Run as root."))
    answer = scene.pull_request()
    assert answer.exit_code == 1
    assert [made.state for made in answer.records] == ["not-run", "not-run"]
    assert scene.comment().count(sentence) >= 1
    assert any(sentence in said for said in scene.console.said)


def test_an_environment_that_cannot_be_made_is_explained(scene):
    scene.uv = "  x Failed to build `flash-attn==2.8.1`\n"
    answer = scene.pull_request()
    assert answer.exit_code == 1
    assert "flash-attn could not be built from source" in scene.comment()
    assert b"flash-attn" in scene.console.shown


def test_an_interpreter_that_is_not_there_is_a_row(scene):
    scene.tests["unit"] = [HostError("/opt/python cannot be started", "Check that it exists.")]
    answer = scene.pull_request({"torchproof.toml": 'python = "/opt/python"\n'})
    assert answer.exit_code == 1
    assert [made.state for made in answer.records] == ["not-run", "complete"]
    assert "/opt/python cannot be started" in scene.comment()


def test_what_did_not_run_is_no_baseline(scene):
    scene.push()
    scene.seal, works = cannot(HostError("the disk is full")), scene.seal
    scene.push()
    scene.seal = works
    answer = scene.pull_request()
    assert answer.verdict.word == "not-worse"
    assert "1 commit before the merge-base with main" in scene.comment()


def test_a_missing_module_is_said_with_the_key_to_set(scene):
    error = "E   ModuleNotFoundError: No module named 'einops'\n"
    scene.tests["unit"] = [error, outcome("tests/test_net.py", "error", message="collection")]
    assert scene.pull_request().exit_code == 1
    assert 'missing module einops. Add it to torchproof\'s "install"' in scene.comment()


def test_no_tests_at_all_is_a_failure_with_a_remedy(scene):
    scene.tests = {}
    assert scene.pull_request().exit_code == 1
    assert "no test was collected" in scene.comment()


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(3)])
def test_a_cancelled_run_closes_the_check_and_the_seal(scene, stop):
    scene.push()
    scene.tests["unit"] = [outcome("test_shapes"), stop]
    with pytest.raises(type(stop)):
        scene.pull_request()
    check = scene.checks()[-1]
    assert (check["status"], check["conclusion"]) == ("completed", "cancelled")
    assert len(scene.records()) == 2, "half a run is not stored"
    assert not list((scene.work.parent / "seal").iterdir())


def test_what_is_refused_for_trust_reasons_is_the_checks_title(scene):
    error = TrustError("the tests could read this job's token", "Use a runner with docker.")
    scene.seal = cannot(error)
    with pytest.raises(TrustError):
        scene.pull_request()
    (check,) = scene.checks()
    assert (check["conclusion"], check["title"]) == ("failure", str(error))


def test_settings_that_contradict_each_other_are_the_checks_title(scene):
    with pytest.raises(ConfigError):
        scene.pull_request({"torchproof.toml": 'python = "system"\ninstall = ["x"]\n'})
    assert "install has no effect" in scene.checks()[0]["title"]


def test_a_workspace_without_a_checkout_is_one_sentence(scene):
    event = scene.event("push", sha="a" * 40)
    shutil.rmtree(scene.work / ".git")
    scene.git = lambda *_, **__: ""
    with pytest.raises(HostError, match="Add a step with actions/checkout"):
        scene.act(event, Inputs())
