"""What a user gets wrong becomes one clear sentence, through the whole action in real docker."""

from __future__ import annotations

import pytest


pytestmark = pytest.mark.docker

UNIT = {"tiers": "unit"}
TEMPLATE = "{% extends 'comment.md.j2' %}\n{% block headline %}\n{{ headline | \n{% endblock %}\n"


def errors(result):
    """Return the errors that the job's page shows."""
    assert "Traceback" not in result.log
    assert (result.leftovers, result.root_owned) == ((), ())
    return [command.data for command in result.commands if command.name == "error"]


def test_no_checkout(jobs):
    result = jobs.start(jobs.pushed(), checkout=False).wait()
    (sentence,) = errors(result)
    assert result.exit_code == 3
    assert sentence.endswith(
        "holds no git checkout. Add a step with actions/checkout before torchproof."
    )


def test_an_unknown_key(jobs):
    config = jobs.repository.read("pyproject.toml") + "sed = 3\n"
    result = jobs.push({"pyproject.toml": config})
    line = config.count("\n")
    assert result.exit_code == 2
    assert errors(result) == [
        f"pyproject.toml:{line}: sed is not a key of [tool.torchproof]. Did you mean seed?"
    ]


def test_no_tests(jobs):
    result = jobs.push({"tests/test_unit.py": ""}, inputs=UNIT)
    assert result.exit_code == 1
    assert errors(result) == []
    assert "the tier `unit` has no tests" in result.summary
    assert "Check the tier's markers in [tool.torchproof.tiers]" in result.summary


def test_no_torch_in_the_user_environment(jobs, torchless):
    result = jobs.push(torchless("import torch\n\n\ndef test_nothing():\n    pass\n"), inputs=UNIT)
    assert result.exit_code == 1
    assert "torch is not in the user environment" in result.summary
    assert '[tool.torchproof] install = ["torch"]' in result.summary


def test_no_baseline(jobs):
    result = jobs.pull_request(inputs=UNIT)
    (comment,) = jobs.world.data["comments"]
    assert (result.exit_code, errors(result)) == (0, [])
    assert "no baseline: there is no record yet on main" in comment["body"]


def test_a_token_that_may_not_comment(jobs):
    jobs.world.add_token("ghs_weak", permissions={"contents": "write", "checks": "write"})
    result = jobs.pull_request(inputs=UNIT, token="ghs_weak")
    assert result.exit_code == 0
    assert "Resource not accessible by integration" in result.outputs["report-status"]
    assert "permissions: pull-requests: write\n" in result.log
    assert "GitHub would not comment on #1" in result.summary
    assert "torchproof: 2 checks pass" in result.summary


def test_a_token_that_may_not_start_the_gpu_run(jobs):
    rights = {"contents": "write", "checks": "write", "pull-requests": "write"}
    jobs.world.add_token("ghs_weak", permissions=rights)
    result = jobs.pull_request(inputs={"gpu-runner": "gpu"}, token="ghs_weak")
    (comment,), (check,) = jobs.world.data["comments"], jobs.world.data["checks"]
    assert (result.exit_code, errors(result)) == (0, [])
    for shown in (result.outputs["report-status"], comment["body"]):
        assert "GitHub would not start the workflow on the GPU runner" in shown
        assert "actions: write" in shown
    assert check["status"] == "completed"


def test_a_template_that_cannot_be_read(jobs):
    config = jobs.repository.read("pyproject.toml") + 'template = "report.md.j2"\n'
    result = jobs.pull_request({"pyproject.toml": config, "report.md.j2": TEMPLATE}, inputs=UNIT)
    (comment,) = jobs.world.data["comments"]
    assert (result.exit_code, errors(result)) == (0, [])
    for shown in (result.log, result.summary, comment["body"], result.outputs["report-status"]):
        assert "report.md.j2:4: expected" in shown
    assert "torchproof: 2 checks pass" in comment["body"]
