"""The pages on behaviour and data: their files are written as they stand there, and run."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from tests.docs.pages import ROOT, blocks

from torchproof.behaviour import skew
from torchproof.behaviour.rate import Rate, percent
from torchproof.record import load


PAGES = ("docs/behaviour.md", "docs/data.md")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """All files of both pages in one directory, tested once: the record and the output."""
    path = tmp_path_factory.mktemp("pages")
    (path / "labels.csv").write_text("0\n")
    for _, code in blocks("python", [ROOT / page for page in PAGES]):
        (path / re.match(r"# (\w+\.py)\n", code)[1]).write_text(code)
    options = ["-p", "no:randomly", "--torchproof-record=run.json", "--rootdir=."]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return load(path / "run.json"), done.stdout


def test_the_examples_end_as_the_pages_say(run):
    record, output = run
    ends = {each.test.partition("::")[2]: each.outcome for each in record.outcomes}
    failing = dict.fromkeys(("test_negation", "test_service_answers_as_training"), "failed")
    assert ends == {**dict.fromkeys(ends, "passed"), **failing}, output
    assert len(ends) == 7
    assert [each.rule for each in record.findings] == ["handover-label-order"]


def test_what_the_pages_show_is_what_is_printed(run):
    printed = [line[1:].strip() for line in run[1].splitlines() if line.startswith("E ")]
    for _, text in blocks("text", [ROOT / page for page in PAGES]):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        assert [line for line in lines if not any(line in each for each in printed)] == []


def test_the_metrics_and_facts_are_those_of_the_page(run):
    names = {each.name for each in run[0].metrics if each.name.startswith("data/points/test/")}
    page = (ROOT / "docs/data.md").read_text("utf-8")
    assert {name.rpartition("/")[2] for name in names} == {
        "rows", "duplicates", "min", "max", "labels", "rarest label",
    }  # fmt: skip
    assert all(f"`{name.rpartition('/')[2]}`" in page for name in names)
    assert {"labels", "images", "settings"} <= {*run[0].fingerprint["data"]}


def test_the_interval_of_the_page_is_wilsons():
    page = (ROOT / "docs/behaviour.md").read_text("utf-8")
    most = percent(Rate(0, 10).interval()[1])
    assert f"Ten inputs that all pass say\nthat at most {most} fail" in page


def test_every_cause_of_skew_is_on_the_page():
    page = (ROOT / "docs/behaviour.md").read_text("utf-8")
    source = open(skew.__file__, encoding="utf-8").read()  # noqa: SIM115 - read at once
    causes = set(re.findall(r'Skew\(\s*"([^"]+)"', source)) - {"unknown"}
    assert {cause for cause in causes if f"`{cause}`" not in page} == set()
