"""The README's tables say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.docs.pages import code, table
from tests.plan.test_plan import plan, pull_request
from tests.samples import BASE, ENVIRONMENT, metric, record
from tests.stages.scene import Scene

import torchproof
from torchproof import report, settings, verdict
from torchproof.commands import torchproof as commands
from torchproof.errors import TorchproofError
from torchproof.hub.failures import Call, Failure, explain
from torchproof.run.diagnose import diagnose
from torchproof.run.workspace import head_commit


ROOT = Path(__file__).parents[2]


def sentence(function, *arguments):
    with pytest.raises(TorchproofError) as raised:
        function(*arguments)
    return str(raised.value)


def no_permission(_):
    call = Call(verb="POST", path="/", purpose="comment on #7", needs="pull-requests: write")
    refused = Failure(kind="refused", status=403, message="Resource not accessible by integration")
    return str(explain(call, refused, api_url="https://api.github.com"))


def no_checkout(tmp_path):
    return sentence(head_commit, tmp_path)


def no_baseline(tmp_path):
    scene = Scene(tmp_path)
    scene.pull_request()
    return scene.comment()


def no_test(tmp_path):
    scene = Scene(tmp_path)
    scene.tests = {}
    scene.pull_request()
    return scene.comment()


def broken_config(tmp_path):
    (tmp_path / "pyproject.toml").write_text("\n" * 10 + "[tool.torchproof]\nsed = 1\n")
    return sentence(settings.load, tmp_path)


def missing_module(_):
    found = diagnose("E   ModuleNotFoundError: No module named 'einops'")
    return f"{found.what}. {found.remedy}"


def no_torch(_):
    return diagnose("E   ModuleNotFoundError: No module named 'torch'").what


def another_torch(_):
    older = {"environment": {**ENVIRONMENT, "torch": "2.12.0"}, "hardware": {"device": "cpu"}}
    newer = {**older, "environment": {**ENVIRONMENT, "torch": "2.13.0"}}
    base = [record(metric(), commit=BASE, fingerprint=older)]
    head = [record(metric(value=0.5), fingerprint=newer)]
    context = report.Context(head_sha="a" * 40, base=BASE)
    return report.terminal(
        report.compose(verdict.judge(head, base), head, base, context), colour=False
    )


def a_fork_on_our_machine(_):
    return sentence(plan, pull_request(fork=True, self_hosted=True))


SAID = {
    "Resource not accessible by integration": no_permission,
    "the workspace holds no git checkout": no_checkout,
    "no baseline: there is no record yet on main": no_baseline,
    "no test was collected": no_test,
    "pyproject.toml:12: sed is not a key of [tool.torchproof]": broken_config,
    "missing module einops": missing_module,
    "torch is not in the user environment": no_torch,
    "not comparable: torch 2.12.0 → 2.13.0": another_torch,
    "a fork's code must not run on a self-hosted runner": a_fork_on_our_machine,
}


def test_every_error_of_the_readme_is_tried_here():
    assert [code(row[0]) for row in table("README.md", "| it says |")] == list(SAID)


@pytest.mark.parametrize("text", SAID)
def test_an_error_reads_as_in_the_readme(text, tmp_path):
    assert text in SAID[text](tmp_path)


def test_the_rules_of_the_readme_are_all_rules():
    rows = table("README.md", "| what goes wrong |")
    listed = [name.strip("`") for row in rows for name in row[1].split()]
    assert sorted(listed) == [rule.id for rule in torchproof.rules()]


def test_the_page_of_the_rules_is_what_the_command_prints():
    page = (ROOT / "docs/rules.md").read_text("utf-8")
    printed = CliRunner().invoke(commands, ["rules"]).output
    assert page.partition("\n\n## ")[2] == printed.removeprefix("## ")


def test_the_tiers_of_the_readme_are_the_default_tiers():
    listed = [code(row[0]) for row in table("README.md", "| tier |")]
    assert listed == list(settings.DEFAULT_TIERS)
