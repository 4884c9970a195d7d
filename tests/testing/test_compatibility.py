"""The oldest and newest Python and pytest, in environments of their own, without torch.

The plugin comes as it comes to a user: a directory on PYTHONPATH, nothing installed beside pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from torchproof.record import load


SUITE = """
import os, random, unittest
import pytest

@pytest.fixture(scope="module")
def shared():
    os.environ["TP_SHARED"] = "1"
    yield
    del os.environ["TP_SHARED"]

def test_metric(proof, shared):
    proof.metric("m", 0.5, better="lower", tolerance="2%")
    assert proof.python("data").random() != random.random()

def test_leak():
    os.environ["TP_NEW"] = "1"

def test_fail():
    assert 1 == 2

@pytest.mark.xfail(reason="known")
def test_xfail():
    assert 0

@pytest.mark.overfit
def test_overfit():
    pass

class TestIt(unittest.TestCase):
    def test_unit(self):
        pass
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin")
    uv("pip", "install", "--no-deps", "--target", path, Path(__file__).parents[2])
    return path


@pytest.mark.parametrize(
    ("python", "requirements"),
    [
        ("3.9", ["pytest==7.0.1"]),
        ("3.10", ["pytest==7.4.4", "pytest-xdist==3.3.1", "pytest-randomly==3.12.0"]),
        ("3.13", ["pytest>=9", "pytest-xdist", "pytest-rerunfailures"]),
    ],
)
def test_the_plugin_works_with(tmp_path, plugin, python, requirements):
    uv("venv", "--python", interpreter(python), tmp_path / "env")
    uv("pip", "install", "--python", tmp_path / "env" / "bin" / "python", *requirements)
    (tmp_path / "test_it.py").write_text(SUITE)
    parallel = ["-n1"] if len(requirements) > 1 else []
    options = ["--strict-markers", "--torchproof-tier=unit", "--torchproof-record=run.json"]
    subprocess.run(
        [tmp_path / "env" / "bin" / "python", "-W", "error", "-m", "pytest", *options, *parallel],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(plugin)},
        check=False,
    )
    record = load(tmp_path / "run.json")
    assert (record.state, record.exit_code, record.tier) == ("complete", 1, "unit")
    assert {item.test.rpartition("::")[2]: item.outcome for item in record.outcomes} == {
        "test_metric": "passed",
        "test_leak": "passed",
        "test_fail": "failed",
        "test_xfail": "xfailed",
        "test_unit": "passed",
    }
    assert [metric.value for metric in record.metrics] == [0.5]
    assert [leak.message for leak in record.leaks] == ["environment variable TP_NEW was set"]


def interpreter(version):
    """Return a Python of that version, or skip."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}.*/bin/python")]
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return pytest.skip(f"there is no Python {version} here")


def uv(*arguments):
    """Run uv, or skip where it or the package index is out of reach."""
    program = shutil.which("uv") or pytest.importorskip("uv").find_uv_bin()
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"uv {arguments[0]} failed: {done.stderr.strip()[-200:]}")
