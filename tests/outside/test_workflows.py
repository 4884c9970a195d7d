"""The workflows of this repository and those that a user copies, as GitHub and zizmor see them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml


ROOT = Path(__file__).parents[2]
OWN = sorted((ROOT / ".github/workflows").glob("*.yml"))
FOR_USERS = [ROOT / "templates/workflow.yml", *sorted((ROOT / "examples/workflows").glob("*.yml"))]
WORKFLOWS = [*OWN, *FOR_USERS]
SCRIPTS = Path(sys.executable).parent
TOKEN_SCOPES = {"contents", "pull-requests", "checks", "issues", "actions"}

# zizmor's auditor persona finds nothing else. There is no commit to pin torchproof itself to before
# the release that the example is for; a release's notes show the line with its commit.
ACCEPTED = {("unpinned-uses", path.relative_to(ROOT).as_posix()) for path in FOR_USERS}


def name(path):
    return path.relative_to(ROOT).as_posix()


def steps(path):
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        yield from job.get("steps", [job])


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_has_the_published_form(path):
    check = [SCRIPTS / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", path]
    checked = subprocess.run(check, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_githubs_own_parser_finds_no_error_in_a_workflow(path, github_parser):
    assert github_parser(path) == []


def test_githubs_own_parser_does_find_errors(tmp_path, github_parser):
    broken = tmp_path / "broken.yml"
    broken.write_text(FOR_USERS[0].read_text().replace("fromJSON", "fromYAML"))
    assert "fromYAML" in github_parser(broken)[0]


def test_zizmor_finds_nothing_that_is_not_accepted_here():
    files = [ROOT / "action.yml", ROOT / ".github", *FOR_USERS]
    command = [SCRIPTS / "zizmor", "--offline", "--no-progress", "--strict-collection"]
    command += ["--persona=auditor", "--format=json", "--no-exit-codes", *files]
    audited = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    findings = {(found["ident"], place(found)) for found in json.loads(audited.stdout)}
    assert findings == ACCEPTED


def place(finding):
    local = finding["locations"][0]["symbolic"]["key"]["Local"]
    path = Path(local.get("verbatim_path") or local["given_path"])
    return path.relative_to(ROOT).as_posix() if path.is_absolute() else path.as_posix()


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_grants_nothing_at_its_top_and_says_why_below(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    scopes = [scope for job in workflow["jobs"].values() for scope in job["permissions"]]
    documented = re.findall(
        r"^      ([a-z-]+): (?:read|write) # \S", path.read_text(), re.MULTILINE
    )
    assert sorted(documented) == sorted(scopes)


@pytest.mark.parametrize("path", FOR_USERS, ids=name)
def test_a_users_workflow_grants_only_what_torchproof_uses(path):
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        assert set(job["permissions"]) <= TOKEN_SCOPES


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_every_other_action_is_pinned_to_a_commit_with_its_version_beside_it(path):
    for line in re.findall(r"^ +(?:- )?uses: (.*)$", path.read_text(), re.MULTILINE):
        own = line.startswith(("torchproof/torchproof@v", "$/"))
        assert own or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_no_shell_line_contains_an_expression(path):
    assert not [step for step in steps(path) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_checkout_leaves_no_token_behind(path):
    checkouts = [
        step for step in steps(path) if step.get("uses", "").startswith("actions/checkout")
    ]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.fixture(params=[FOR_USERS[0], ROOT / "examples/workflows/gpu.yml"], ids=name)
def workflow(request):
    return yaml.safe_load(request.param.read_text())


def test_torchproof_can_dispatch_the_workflow_with_a_runner_and_a_request(workflow):
    # YAML 1.1 reads the key "on" as true.
    assert set(workflow[True]["workflow_dispatch"]["inputs"]) == {"runner", "request"}
    assert workflow["jobs"]["torchproof"]["permissions"]["actions"] == "write"


def test_a_dispatched_run_takes_the_gpu_runner_and_the_requested_commit(
    workflow, github_expression
):
    request = json.dumps({"sha": "0b1d5a77", "tiers": ["overfit"]})
    assert place_and_commit(workflow, github_expression, runner="gpu", request=request) == (
        "gpu",
        "0b1d5a77",
    )


@pytest.mark.parametrize("inputs", [{}, {"runner": "", "request": ""}], ids=["none", "empty"])
def test_any_other_run_takes_a_hosted_runner_and_its_own_commit(
    workflow, github_expression, inputs
):
    assert place_and_commit(workflow, github_expression, **inputs) == ("ubuntu-latest", "")


def place_and_commit(workflow, github_expression, **inputs):
    job = workflow["jobs"]["torchproof"]
    texts = (job["runs-on"], job["steps"][0]["with"]["ref"])
    return tuple(github_expression(text, inputs=inputs) for text in texts)


def test_a_newer_commit_of_a_pull_request_takes_the_place_of_the_older_and_nothing_else_does(
    workflow, github_expression
):
    group = workflow["concurrency"]["group"].removeprefix("${{ github.workflow }}-")
    pull_request = {"event": {"pull_request": {"number": 7}}, "run_id": "1"}
    assert github_expression(group, github=pull_request) == "7"
    assert github_expression(group, github={"event": {}, "run_id": "2"}) == "2"


def test_the_readme_shows_the_starter_workflow_without_its_extras(tmp_path, github_parser):
    text = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    (tmp_path / "readme.yml").write_text(text)
    assert github_parser(tmp_path / "readme.yml") == []
    shown, starter = (essence(yaml.safe_load(file)) for file in (text, FOR_USERS[0].read_text()))
    assert shown == starter


def essence(workflow):
    job = workflow["jobs"]["torchproof"]
    return {
        "run-name": workflow["run-name"],
        "events": set(workflow[True]),
        "dispatch": set(workflow[True]["workflow_dispatch"]["inputs"]),
        "top": workflow["permissions"],
        "permissions": job["permissions"],
        "runs-on": job["runs-on"],
        "actions": [step["uses"].partition("@")[0] for step in job["steps"]],
        "checkout": job["steps"][0]["with"],
    }
