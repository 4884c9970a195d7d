"""The whole action in real docker, run as GitHub's runner runs it, against the fake GitHub."""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.end_to_end import happenings
from tests.end_to_end.images import GPU, USED_BYTES, promised


if TYPE_CHECKING:
    from tests.runner.step import Result

pytestmark = pytest.mark.docker

FEW_CALLS = 15
CLEARING = "    optimizer.zero_grad()\n"
GPU_RUNNER = {"gpu-runner": "gpu"}
UNIT = {"tiers": "unit"}
SLEEPING = """
import subprocess
import time
from pathlib import Path


def test_sleeps():
    Path("left-behind.txt").write_text("by a test")
    subprocess.Popen(["sleep", "{seconds}"], start_new_session=True)
    print("the test sleeps", flush=True)
    time.sleep(600)
"""
SEALED = """
import os
from pathlib import Path


def test_no_secret_is_in_reach():
    assert "ghs_" not in Path(".git/config").read_text() + str(dict(os.environ))
    assert not Path("/var/run/docker.sock").exists()
"""


@dataclass(frozen=True)
class Seen:
    """What GitHub showed after a job, and which requests the job had made."""

    result: Result
    requests: list[dict[str, Any]]
    comments: list[dict[str, Any]]
    checks: list[dict[str, Any]]


def seen(jobs, run):
    data = jobs.world.data
    before = len(data["requests"])
    result = run()
    shown = json.loads(json.dumps({kind: data[kind] for kind in ("comments", "checks")}))
    return Seen(result, data["requests"][before:], **shown)


def first_line(comment):
    """Return what a reader sees first; the line before it is hidden."""
    return comment["body"].splitlines()[1]


@pytest.fixture(scope="module")
def bug(shared_jobs):
    """Push main, then open a pull request with a silent bug: every gradient is added to the last.

    All tests of the project but the proof stay green.
    """
    assert shared_jobs.push().exit_code == 0
    source = shared_jobs.repository.read("moons.py")
    files = {"moons.py": source.replace(CLEARING, "")}
    return seen(shared_jobs, lambda: shared_jobs.pull_request(files))


@pytest.fixture(scope="module")
def fix(shared_jobs, bug):
    """Push the fix to that pull request."""
    files = {"moons.py": shared_jobs.repository.read("moons.py")}
    return seen(shared_jobs, lambda: shared_jobs.pull_request(files))


def test_the_only_comment_names_the_rule_and_the_test_in_its_first_line(bug):
    (comment,) = bug.comments
    assert bug.result.exit_code == 1
    assert "`stale-gradients` in `test_training_step`" in first_line(comment)
    assert "(the merge-base with main)" in comment["body"]


def test_summary_and_outputs_say_the_same_as_the_comment(bug):
    (comment,), outputs = bug.comments, bug.result.outputs
    assert first_line(comment) in bug.result.summary
    assert (outputs["passed"], outputs["verdict"], outputs["findings"]) == ("false", "failed", "1")
    assert outputs["comment-url"].endswith(f"#issuecomment-{comment['id']}")
    assert outputs["report-status"] == "complete"


def test_the_check_run_is_opened_in_progress_and_completed_with_the_line_of_the_bug(bug):
    _, check = bug.checks
    verbs = [request["method"] for request in bug.requests if "check-runs" in request["path"]]
    assert verbs == ["POST", "PATCH"]
    assert (check["status"], check["conclusion"]) == ("completed", "failure")
    (mark,) = check["annotations"]
    assert (mark["path"], mark["title"]) == (
        "moons.py",
        "torchproof: stale-gradients in test_training_step",
    )


def test_a_pull_request_costs_few_requests(bug, fix, capsys):
    opened, edited = len(bug.requests), len(fix.requests)
    with capsys.disabled():
        sys.stdout.write(f"\n{opened} API calls to open the comment, {edited} to edit it\n")
    assert max(opened, edited) <= FEW_CALLS


def test_every_run_leaves_its_records_in_the_history(shared_jobs, fix):
    records = shared_jobs.repository.records()[:6]
    assert [(r.tier, r.source.event, r.source.run_id, r.passed) for r in records] == [
        ("unit", "push", "90001", True),
        ("overfit", "push", "90001", True),
        ("unit", "pull_request", "90002", False),
        ("overfit", "pull_request", "90002", True),
        ("unit", "pull_request", "90003", True),
        ("overfit", "pull_request", "90003", True),
    ]
    source = records[-1].source
    assert source.tested != source.commit == fix.checks[-1]["head_sha"]


def test_the_fix_edits_the_same_comment(bug, fix):
    (before,), (after,) = bug.comments, fix.comments
    assert fix.result.exit_code == 0
    assert after["id"] == before["id"]
    assert first_line(after).startswith("### ✅ torchproof: 3 checks pass")
    assert fix.checks[-1]["conclusion"] == "success"


def test_a_run_that_says_the_same_edits_nothing(shared_jobs, fix):
    again = seen(shared_jobs, shared_jobs.run_again)
    assert again.result.exit_code == 0
    assert again.comments == fix.comments
    assert not [r for r in again.requests if r["method"] != "GET" and "comments" in r["path"]]


def test_nothing_of_a_run_stays_on_the_machine(bug, fix):
    for result in (bug.result, fix.result):
        assert (result.leftovers, result.root_owned, result.errors) == ((), (), ())


def test_the_gpu_run_finishes_what_the_hosted_run_has_begun(jobs, gpu_action):
    hosted = seen(jobs, lambda: jobs.pull_request(inputs=GPU_RUNNER))
    assert hosted.result.exit_code == 0
    assert first_line(hosted.comments[0]).endswith("`integration` and `overfit` queued")
    assert hosted.checks[0]["status"] == "in_progress"
    (run,) = jobs.world.data["runs"]
    assert run["inputs"]["runner"] == "gpu"
    assert json.loads(run["inputs"]["request"])["nonce"] in run["display_title"]

    event = happenings.dispatched(jobs.repository.name, run)
    gpu = seen(jobs, lambda: jobs.start(event, inputs=GPU_RUNNER, image=gpu_action).wait())
    assert gpu.result.exit_code == 0
    assert [comment["id"] for comment in gpu.comments] == [hosted.comments[0]["id"]]
    assert first_line(gpu.comments[0]).startswith("### ✅ torchproof: 4 checks pass")
    assert [(c["id"], c["conclusion"]) for c in gpu.checks] == [(hosted.checks[0]["id"], "success")]
    assert len(hosted.requests) + len(gpu.requests) <= FEW_CALLS
    assert (gpu.result.leftovers, gpu.result.root_owned) == ((), ())

    assert promised(GPU["uuid"])
    records = {record.tier: record for record in jobs.repository.records()}
    assert records["unit"].cost.gpu_peak_bytes is None
    for tier in ("overfit", "integration"):
        assert records[tier].cost.gpu_peak_bytes == USED_BYTES
        assert records[tier].fingerprint["hardware"]["gpu"] == GPU["name"]


def test_a_failing_unit_tier_spends_no_gpu_time(jobs):
    files = {"tests/test_unit.py": "def test_sum():\n    assert 1 + 1 == 3\n"}
    hosted = seen(jobs, lambda: jobs.pull_request(files, inputs=GPU_RUNNER))
    assert (hosted.result.exit_code, jobs.world.data["runs"]) == (1, [])
    assert "the tiers before it failed, so no GPU time was spent" in hosted.comments[0]["body"]
    assert hosted.checks[0]["conclusion"] == "failure"


def test_the_tests_reach_neither_the_token_nor_the_engine(jobs):
    result = jobs.push({"tests/test_unit.py": SEALED}, inputs=UNIT)
    assert result.exit_code == 0
    assert "The checkout keeps a token in .git; the tests do not see it" in result.log


def test_a_fork_gets_a_summary_and_touches_nothing(jobs):
    jobs.world.add_token("ghs_fork", permissions={"contents": "read", "pull-requests": "read"})
    fork = seen(jobs, lambda: jobs.pull_request(fork="mallory/moons", token="ghs_fork"))
    assert fork.result.exit_code == 0
    assert "torchproof: 2 checks pass" in fork.result.summary
    assert fork.result.outputs["report-status"] == "complete"
    assert (fork.requests, jobs.repository.records()) == ([], [])


def test_a_forks_failing_test_fails_its_job(jobs):
    files = {"tests/test_unit.py": "def test_sum():\n    assert 1 + 1 == 3\n"}
    jobs.world.add_token("ghs_fork", permissions={"contents": "read"})
    result = jobs.pull_request(files, fork="mallory/moons", token="ghs_fork")
    assert result.exit_code == 1
    assert "`test_sum`" in result.summary


def test_a_cancelled_run_leaves_nothing_behind(jobs):
    config = jobs.repository.read("pyproject.toml") + 'pytest-args = ["-s"]\n'
    # A number that no other process of the machine has among its arguments.
    seconds = str(10**9 + secrets.randbelow(10**9))
    test = SLEEPING.replace("{seconds}", seconds)
    step = jobs.start(jobs.pushed({"pyproject.toml": config, "tests/test_unit.py": test}))
    step.wait_for("the test sleeps")
    assert running(seconds)

    result = step.cancel()
    assert not result.client_killed
    assert (result.leftovers, result.root_owned) == ((), ())
    assert not running(seconds)
    (check,) = jobs.world.data["checks"]
    assert (check["status"], check["conclusion"]) == ("completed", "cancelled")
    assert step.runner.post("push", result.state).exit_code == 0
    assert not_owned(step.runner) == []


def test_uv_makes_the_user_environment_in_the_actions_own_image(jobs, torchless):
    result = jobs.push(torchless("def test_sum():\n    assert 1 + 1 == 2\n"))
    assert result.exit_code == 0
    assert "User environment: requirements.txt (container)" in result.log
    (record,) = [record for record in jobs.repository.records() if record.tier == "unit"]
    assert [outcome.outcome for outcome in record.outcomes] == ["passed"]
    assert (result.leftovers, result.root_owned) == ((), ())


def running(word):
    """Say whether a process with this argument runs on the machine, in a container or not."""
    lines = (path for path in Path("/proc").glob("[0-9]*/cmdline"))
    return any(word.encode() in _read(line) for line in lines)


def not_owned(runner):
    """List what root has left in the runner's folders, where nobody could remove it."""
    folders = (runner.folders.temp, runner.folders.workspace)
    paths = [path for folder in folders for path in folder.rglob("*")]
    return [str(path) for path in paths if path.lstat().st_uid == 0]


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""
