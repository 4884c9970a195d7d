"""One GPU for one run, among real processes, on a simulated NVML."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from torchproof.errors import HostError
from torchproof.run.lease import lease_here


SIMULATED = Path(__file__).parents[1] / "simulated_nvml"
GIB = 1024**3
# Holds a GPU, writes when it had it, and holds it until stdin ends.
HOLD = """
import sys, time
from pathlib import Path
from torchproof.run.lease import lease_here
locks, seconds, run = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
with lease_here(locks, run=run, timeout=60, poll=0.02) as lease:
    start = time.monotonic()
    print("has", lease.uuid, flush=True)
    time.sleep(seconds) if seconds else sys.stdin.read()
    end = time.monotonic()
print(lease.uuid, start, end, flush=True)
"""


@pytest.fixture
def nvml(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMULATED_NVML", str(tmp_path / "nvml.json"))
    spec = importlib.util.spec_from_file_location("simulated_pynvml", SIMULATED / "pynvml.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def locks(tmp_path):
    return tmp_path / "locks"


@pytest.fixture
def hold(locks):
    """Return a function that starts a process which leases a GPU; all are ended at last."""
    with contextlib.ExitStack() as started:

        def start(seconds=0.0, run=""):
            process = subprocess.Popen(
                [sys.executable, "-c", HOLD, locks, str(seconds), run],
                env={**os.environ, "PYTHONPATH": str(SIMULATED)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


def host(*gpus):
    new = Path(os.environ["SIMULATED_NVML"]).with_suffix(".new")
    new.write_text(json.dumps({"devices": list(gpus)}))
    new.rename(os.environ["SIMULATED_NVML"])


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def take(locks, nvml, **options):
    return lease_here(locks, library=nvml, poll=0.02, **{"timeout": 10, **options})


def test_a_lease_names_the_gpu(locks, nvml):
    host({"uuid": "GPU-a", "name": "NVIDIA H100"})
    with take(locks, nvml) as lease:
        assert (lease.uuid, lease.name) == ("GPU-a", "NVIDIA H100")
        assert (lease.driver, lease.cuda) == ("570.86.15", "12.8")
    assert 0 <= lease.seconds < 5


def test_six_processes_never_share_one_of_two_gpus(nvml, hold):
    host({"uuid": "GPU-a"}, {"uuid": "GPU-b"})
    processes = [hold(seconds=0.15) for _ in range(6)]
    lines = [process.communicate(timeout=60)[0].splitlines()[-1].split() for process in processes]
    held = sorted((uuid, float(start), float(end)) for uuid, start, end in lines)
    assert {uuid for uuid, _, _ in held} == {"GPU-a", "GPU-b"}
    for (uuid, _, end), (other, start, _) in itertools.pairwise(held):
        assert uuid != other or end <= start


def test_the_kernel_frees_the_gpu_of_a_killed_holder(locks, nvml, hold):
    host({"uuid": "GPU-a"})
    holder = hold()
    assert holder.stdout.readline() == "has GPU-a\n"
    with pytest.raises(HostError, match="no GPU became free"), take(locks, nvml, timeout=0.1):
        pass
    holder.kill()
    with take(locks, nvml) as lease:
        assert lease.uuid == "GPU-a"


def test_a_waiting_run_is_told_who_holds_the_gpu(locks, nvml, hold):
    host({"uuid": "GPU-a"})
    holder = hold(run="https://github.com/o/r/actions/runs/7")
    holder.stdout.readline()
    told = []
    with pytest.raises(HostError), take(locks, nvml, timeout=0.2, on_wait=told.append):
        pass
    assert len(told) == 1
    assert f"held by https://github.com/o/r/actions/runs/7 (process {holder.pid}) since" in told[0]


def test_who_comes_first_is_served_first(locks, nvml):
    host({"uuid": "GPU-a"})
    order, waiting = [], threading.Semaphore(0)

    def wait(number):
        with take(locks, nvml, on_wait=lambda text: waiting.release()):
            order.append(number)

    with take(locks, nvml):
        threads = [threading.Thread(target=wait, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
            waiting.acquire()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3]


def test_a_dead_waiter_holds_nobody_up(locks, nvml, hold):
    host({"uuid": "GPU-a"})
    with take(locks, nvml):
        waiter = hold()
        until(lambda: list(locks.glob("*.ticket")))
        waiter.kill()
        waiter.wait()
    with take(locks, nvml) as lease:
        assert lease.uuid == "GPU-a"
    assert not list(locks.glob("*.ticket"))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"processes": [4711]}, "process 4711 computes on it"),
        ({"total": 80 * GIB, "used": 20 * GIB}, "only 60 of 80 GiB are free"),
        ({"ecc_uncorrected": 1}, "uncorrected memory errors"),
    ],
)
def test_a_gpu_that_somebody_uses_or_that_is_sick_is_passed_over(locks, nvml, state, reason):
    host({"uuid": "GPU-a", **state}, {"uuid": "GPU-b"})
    with (
        take(locks, nvml) as lease,
        pytest.raises(HostError, match=f"GPU-a: .*{reason}"),
        take(locks, nvml, timeout=0),
    ):
        pass
    assert lease.uuid == "GPU-b"


def test_a_foreign_process_is_waited_for(locks, nvml):
    host({"uuid": "GPU-a", "processes": [4711]})
    told = []

    def ends(text):
        told.append(text)
        host({"uuid": "GPU-a"})

    with take(locks, nvml, on_wait=ends):
        pass
    assert told == ["waiting for a GPU: GPU-a: process 4711 computes on it"]


@pytest.mark.parametrize(
    ("gpus", "sentence"),
    [
        ([], "the driver knows no GPU"),
        ([{"uuid": "GPU-a", "retired_pending": 1}], "no GPU is healthy: GPU-a: it needs a reset"),
    ],
)
def test_what_waiting_cannot_mend_is_not_waited_for(locks, nvml, gpus, sentence):
    host(*gpus)
    with pytest.raises(HostError, match=sentence), take(locks, nvml):
        pass


def test_the_time_limit_is_kept_by_the_clock_that_is_given(locks, nvml):
    host({"uuid": "GPU-a", "processes": [1]})
    now = [0.0]

    def sleep(seconds):
        now[0] += 600

    with (
        pytest.raises(HostError, match="no GPU became free in time"),
        take(locks, nvml, timeout=3600, clock=lambda: now[0], sleep=sleep),
    ):
        pass
    assert now[0] == 3600


def test_the_lease_keeps_the_peak_and_what_throttled_the_gpu(locks, nvml):
    host({"uuid": "GPU-a", "used": GIB})
    with take(locks, nvml) as lease:
        host({"uuid": "GPU-a", "used": 9 * GIB, "clocks_event_reasons": 0x20})
        until(lambda: lease.peak_bytes == 9 * GIB)
        host({"uuid": "GPU-a", "used": 0})
    assert lease.peak_bytes == 9 * GIB
    assert lease.throttled == ("thermal slowdown",)


def test_a_gpu_that_is_lost_meanwhile_is_told_and_the_lease_ends_well(locks, nvml):
    host({"uuid": "GPU-a"})
    with take(locks, nvml) as lease:
        host({"uuid": "GPU-a", "errors": {"nvmlDeviceGetMemoryInfo": "GpuIsLost"}})
        until(lambda: lease.throttled)
    assert lease.throttled == ("the GPU could not be read: GpuIsLost",)


def test_a_forged_holder_says_nothing(locks, nvml, hold):
    host({"uuid": "GPU-a"})
    hold().stdout.readline()
    (locks / "GPU-a.lock").write_text('{"run": "\\n::error::x ##[error]", "pid": 1, "since": 1}')
    with pytest.raises(HostError, match="GPU-a is held by another run") as caught:
        take(locks, nvml, timeout=0).__enter__()
    assert "error" not in str(caught.value)


def test_an_error_in_the_block_frees_the_gpu(locks, nvml):
    host({"uuid": "GPU-a"})
    with pytest.raises(ZeroDivisionError), take(locks, nvml):
        raise ZeroDivisionError
    with take(locks, nvml, timeout=0):
        pass
