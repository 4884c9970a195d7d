"""`dvc pull` of what a tier needs, with a small dvc that takes the real one's command line."""

from __future__ import annotations

import json
import os
import shutil
import sys
import uuid
from dataclasses import replace

import pytest
from tests.real_dvc import PYTHON as REAL_DVC
from tests.real_dvc import needs_dvc, run_dvc

from torchproof.plan import Job
from torchproof.run.child import ChildSeal, OpenSeal
from torchproof.run.plugin_dir import lay
from torchproof.run.pull import pull
from torchproof.run.seal import Command
from torchproof.run.tier import run_tier
from torchproof.settings import DEFAULT_TIERS, Settings


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run tests as another user")
SEALS = [pytest.param(ChildSeal, marks=needs_root), OpenSeal]
PYTHON = "/usr/bin/python3"  # the other user cannot enter a virtual environment in a closed home

# The options are those of `dvc pull --help`, DVC 3.67.
DVC = """
import argparse, json, os, sys, time

parser = argparse.ArgumentParser(prog="dvc", allow_abbrev=False)
pull = parser.add_subparsers(dest="command", required=True).add_parser("pull")
loud = pull.add_mutually_exclusive_group()
for group, names in (
    (loud, "-q --quiet"), (loud, "-v --verbose"), (pull, "-a --all-branches"),
    (pull, "-T --all-tags"), (pull, "-A --all-commits"), (pull, "-f --force"),
    (pull, "-d --with-deps"), (pull, "-R --recursive"), (pull, "--run-cache"),
    (pull, "--no-run-cache"), (pull, "--allow-missing"),
):
    group.add_argument(*names.split(), action="store_true")
pull.add_argument("-j", "--jobs", type=int)
pull.add_argument("-r", "--remote")
pull.add_argument("targets", nargs="*")
given = parser.parse_args()
print(json.dumps([sys.argv[1:], os.getcwd(), os.getuid(), dict(os.environ)]), flush=True)
for target in given.targets:
    if target == "slow.dvc":
        time.sleep(60)
    if not os.path.exists(target):
        place = os.path.abspath(target)
        sys.exit(f"ERROR: failed to pull data from the cloud - '{place}' does not exist")
    with open(target[:-len(".dvc")], "w") as data:
        data.write("pulled")
"""
TESTS = """
def test_data():
    assert open("data/train").read() == "pulled"
"""


@pytest.fixture
def project(checkout):
    """A checkout with locked data and, among its packages, a dvc."""
    for name, text in {
        "packages/dvc/__init__.py": "",
        "packages/dvc/__main__.py": DVC,
        "data/train.dvc": "outs: []\n",
        "test_data.py": TESTS,
    }.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text)
    return checkout


@pytest.fixture
def open_seal(project):
    opened = []

    def one(kind):
        seal = kind(workspace=project, run_id=uuid.uuid4().hex[:8], lay_plugin=lay)
        opened.append(seal)
        return seal

    yield one
    for seal in opened:
        seal.close()


def pulled(seal, *targets, python=PYTHON, path="packages", **fields):
    """Pull as a tier would whose tests run so; return why it failed, and DVC's words."""
    env = {"PYTHONPATH": str(seal.workspace / path), "ASKED": "1"}
    output = []
    tests = Command(argv=(python, "-m", "pytest"), env=env, gpu="GPU-7b1d", **fields)
    _, why = pull(seal, tests, targets, on_output=output.append)
    return why, b"".join(output).decode()


def run(seal, settings, *targets, python=sys.executable):
    """Run the tier unit, which pulls these targets; return its record."""
    unit = replace(DEFAULT_TIERS["unit"], pull=targets)
    settings = replace(settings, tiers={"unit": unit})
    return run_tier(
        seal, Job(tier="unit", seed=3), settings, python=python, on_output=lambda _: None
    )


@pytest.fixture
def settings(project):
    return Settings(env={"PYTHONPATH": str(project / "packages")})


@pytest.mark.parametrize("kind", SEALS)
def test_dvc_is_called_in_the_seal_with_the_targets_and_the_tests_environment(
    open_seal, kind, monkeypatch
):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    seal = open_seal(kind)
    why, output = pulled(seal, "data/train.dvc", cwd=seal.workspace)
    assert why == ""
    argv, directory, uid, environ = json.loads(output)
    assert argv == ["pull", "data/train.dvc"]
    assert directory == str(seal.workspace)
    assert (uid == os.geteuid()) == (kind is OpenSeal)
    assert environ["ASKED"] == "1"
    assert environ["CUDA_VISIBLE_DEVICES"] == "", "no GPU is needed to pull"
    assert "AWS_SECRET_ACCESS_KEY" not in environ


@pytest.mark.parametrize("kind", SEALS)
def test_a_failure_is_dvcs_own_sentence(open_seal, kind):
    why, _ = pulled(open_seal(kind), "data/test.dvc")
    assert why.startswith("dvc pull failed: failed to pull data from the cloud - '/")
    assert "data/test.dvc' does not exist (exit code 1). Correct the tier's pull" in why


def test_without_dvc_the_sentence_says_how_to_install_it(open_seal):
    why, _ = pulled(open_seal(OpenSeal), "data/train.dvc", path="elsewhere")
    assert why.startswith("dvc pull failed: DVC is not in the user environment. Add it")
    assert 'install = ["dvc"]' in why


def test_a_pull_that_takes_too_long_is_stopped(open_seal, project):
    (project / "slow.dvc").touch()
    why, _ = pulled(open_seal(OpenSeal), "slow.dvc", timeout=1.0)
    assert why.startswith("dvc pull failed: it took longer than the tier's 1 s")


def test_what_dvc_prints_cannot_command_the_runner(open_seal, project):
    (project / "packages/dvc/__main__.py").write_text(
        "raise SystemExit('ERROR: ##[error]\\x1b[2J')"
    )
    assert pulled(open_seal(OpenSeal), "a.dvc")[0].startswith(
        "dvc pull failed: [error] (exit code 1)"
    )


def test_the_tests_of_a_tier_find_the_data_that_it_pulls(open_seal, settings):
    record = run(open_seal(OpenSeal), settings, "data/train.dvc")
    assert record.passed, record


def test_a_tier_that_pulls_nothing_calls_no_dvc(open_seal, settings, project):
    (project / "data/train").write_text("pulled")
    (project / "packages/dvc/__main__.py").write_text("raise SystemExit(1)")
    assert run(open_seal(OpenSeal), settings).passed


def test_a_failed_pull_is_in_the_record_and_no_test_runs(open_seal, settings):
    record = run(open_seal(OpenSeal), settings, "data/test.dvc")
    assert (record.state, record.tier, record.seed) == ("not-run", "unit", 3)
    assert record.reason.startswith("dvc pull failed: ")
    assert "Traceback" not in record.reason
    assert not record.outcomes
    assert not record.passed


@needs_dvc
def test_the_real_dvc_pulls_from_a_real_remote(open_seal, project, tmp_path):
    (project / "data/train.dvc").unlink()
    (project / "data/train").write_text("pulled")
    run_dvc(project, "init", "--no-scm")
    run_dvc(project, "remote", "add", "-d", "here", str(tmp_path / "remote"))
    run_dvc(project, "add", "data/train")
    run_dvc(project, "push")
    shutil.rmtree(project / ".dvc/cache")
    (project / "data/train").unlink()

    seal = open_seal(OpenSeal)
    asked = {"python": str(REAL_DVC), "path": "elsewhere", "cwd": project}
    assert pulled(seal, "data/train.dvc", **asked)[0] == ""
    assert (project / "data/train").read_text() == "pulled"
    why, _ = pulled(seal, "absent.dvc", **asked)
    assert "absent.dvc' does not exist" in why
