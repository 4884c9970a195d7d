"""What a reader copies from the documentation works, and what they click on is there."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from tests.docs.pages import PAGES, ROOT, blocks, links, name
from tests.samples import broken_pull_request

from torchproof import report, settings, verdict


MYMODEL = """
import torch

class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(4, 3)

def one_batch():
    return {"x": torch.randn(8, 4), "y": torch.randint(3, (8,))}
"""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page):
    missing = [link for link in links(page) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize(("page", "source"), blocks("python"), ids=name)
def test_python_compiles(page, source):
    compile(source, str(page), "exec")


@pytest.mark.parametrize(("page", "source"), blocks("yaml"), ids=name)
def test_yaml_can_be_read(page, source):
    assert yaml.safe_load(source)


@pytest.mark.parametrize(("page", "source"), blocks("toml"), ids=name)
def test_toml_is_a_configuration(page, source, tmp_path):
    (tmp_path / "pyproject.toml").write_text(source)
    assert settings.load(tmp_path) != settings.Settings()


@pytest.mark.parametrize(("page", "source"), blocks("jinja"), ids=name)
def test_a_template_renders(page, source):
    head, base = broken_pull_request()
    made = report.compose(verdict.judge(head, base), head, base, report.Context(head_sha="a" * 40))
    text = report.comment(made, template=source, template_name="mine.md.j2")
    assert "Ask in #models." in text or "Questions?" in text


@pytest.mark.parametrize(("page", "source"), blocks("sh"), ids=name)
def test_every_make_target_exists(page, source):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = [line.split()[1] for line in source.splitlines() if line.startswith("make ")]
    assert all(f"\n{target}:" in makefile for target in targets)


def test_the_readmes_workflow_is_the_starter_workflow():
    (_, shown), *_ = blocks("yaml", [ROOT / "README.md"])
    shown, starter = (
        yaml.safe_load(shown),
        yaml.safe_load((ROOT / "templates/workflow.yml").read_text()),
    )
    # YAML 1.1 reads the key "on" as true.
    assert {*shown[True]} == {*starter[True]}
    for key in ("permissions", "run-name"):
        assert shown[key] == starter[key]
    ours, theirs = shown["jobs"]["torchproof"], starter["jobs"]["torchproof"]
    assert ours["permissions"] == theirs["permissions"]
    assert ours["runs-on"] == theirs["runs-on"]
    assert ours["steps"][0] == theirs["steps"][0]
    assert ours["steps"][1]["uses"] == theirs["steps"][1]["uses"]


def test_the_readmes_first_test_passes(tmp_path):
    (_, source), *_ = blocks("python", [ROOT / "README.md"])
    (tmp_path / "mymodel.py").write_text(MYMODEL)
    (tmp_path / "test_step.py").write_text(source)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--rootdir=."]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
