"""However the test process ends, its record is written."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from torchproof.record import load


DEATHS = {
    "segfault": "import ctypes; ctypes.string_at(0)",
    "exit": "import os; os._exit(0)",
    "kill": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "whole group": "import os, signal; os.killpg(os.getpgid(0), signal.SIGKILL)",
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_crashed_run_leaves_a_record(tmp_path, death):
    (tmp_path / "test_it.py").write_text(
        "def test_good(proof): proof.metric('m', 2)\n"
        f"def test_bad():\n    {DEATHS[death]}\n"
        "def test_after(): pass\n"
    )
    record = run(tmp_path)
    assert record.state == "crashed"
    assert record.reason.endswith("while running test_it.py::test_bad")
    assert [item.outcome for item in record.outcomes] == ["passed", "crashed", "not-run"]
    assert [item.value for item in record.metrics] == [2]


def test_a_forked_child_that_lives_on_does_not_hold_the_record_back(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import os, time\n"
        "def test_bad():\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(5)\n"
        "        os._exit(0)\n"
        "    os._exit(1)\n"
    )
    began = time.monotonic()
    start(tmp_path, subprocess.DEVNULL).wait(60)
    while not (tmp_path / "run.json").exists():
        assert time.monotonic() - began < 4
        time.sleep(0.02)


def run(path):
    start(path, subprocess.PIPE).communicate(timeout=60)
    return load(path / "run.json")


def start(path, output):
    options = ["-q", "-p", "torchproof", "-p", "no:faulthandler", "--torchproof-record=run.json"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *options],
        cwd=path,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
