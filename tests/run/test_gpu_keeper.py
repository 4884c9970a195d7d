"""The keeper program, and the lease through a container that runs it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from torchproof.errors import HostError
from torchproof.run.engine import Me
from torchproof.run.gpu_keeper import LOCKS, lease_through


SIMULATED = Path(__file__).parents[1] / "simulated_nvml"
GPU = {"uuid": "GPU-a", "name": "NVIDIA H100", "used": 7}


@pytest.fixture
def locks(tmp_path):
    return tmp_path / "locks"


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Return a function that sets which GPUs the simulated host has."""
    monkeypatch.setenv("SIMULATED_NVML", str(tmp_path / "nvml.json"))
    monkeypatch.setenv("PYTHONPATH", str(SIMULATED))

    def has(*gpus):
        (tmp_path / "nvml.json").write_text(json.dumps({"devices": list(gpus)}))

    has(GPU)
    return has


@pytest.fixture
def keeper(host, locks):
    """Return a function that starts the keeper; all are ended at last."""
    with contextlib.ExitStack() as started:

        def start(*arguments):
            command = [sys.executable, "-m", "torchproof.run.gpu_keeper", "--locks", locks]
            process = subprocess.Popen(
                [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


class ProcessEngine:
    """An engine whose containers are processes of this machine."""

    def __init__(self, locks, me=None):
        self.locks, self.processes, self.specs = locks, {}, {}
        self.mine = me or Me(
            id="f" * 64, image="sha256:1", labels={"a": "b"}, mounts=(), network=""
        )

    def me(self):
        return self.mine

    def create(self, spec):
        self.specs["keeper"] = spec
        return "keeper"

    def start(self, container):
        spec = self.specs[container]
        command = [str(self.locks) if word == LOCKS else word for word in spec["Cmd"]]
        self.processes[container] = subprocess.Popen(
            [*spec["Entrypoint"], *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def attach(self, container):
        while data := os.read(self.processes[container].stdout.fileno(), 10):
            yield data

    def kill(self, container, name):
        if self.processes[container].poll() is not None:
            raise HostError("the docker engine refused: container is not running")
        self.processes[container].send_signal(getattr(signal, name))

    def remove(self, container, *, force):
        if container in self.processes:
            self.processes[container].kill()
            self.processes.pop(container).communicate()


def test_the_keeper_holds_a_gpu_until_stdin_ends(keeper):
    process = keeper()
    leased = json.loads(process.stdout.readline())
    assert leased == {
        "leased": {"uuid": "GPU-a", "name": "NVIDIA H100", "driver": "570.86.15", "cuda": "12.8"}
    }
    figures = json.loads(process.communicate()[0])
    assert (figures["peak_bytes"], figures["throttled"]) == (7, [])
    assert process.returncode == 0


def test_sigterm_ends_the_lease_with_its_figures(keeper):
    process = keeper()
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert json.loads(process.stdout.read())["peak_bytes"] == 7
    assert process.wait() == 0


def test_a_keeper_that_waits_says_so_and_goes_at_sigterm(keeper):
    holder = keeper("--run", "https://example.org/runs/1")
    holder.stdout.readline()
    waiter = keeper()
    assert "held by https://example.org/runs/1" in json.loads(waiter.stdout.readline())["waiting"]
    waiter.send_signal(signal.SIGTERM)
    assert waiter.wait() == 128 + signal.SIGTERM


def test_a_host_without_gpu_is_said_in_one_line(keeper, host):
    host()
    process = keeper()
    message = json.loads(process.stdout.readline())
    assert message["error"] == "the driver knows no GPU"
    assert message["remedy"]
    assert process.wait() == 3


def test_a_lease_through_a_container_has_the_keepers_figures(host, locks):
    engine = ProcessEngine(locks)
    with lease_through(engine, run="https://example.org/runs/1") as lease:
        assert (lease.uuid, lease.cuda) == ("GPU-a", "12.8")
        assert "runs/1" in (locks / "GPU-a.lock").read_text()
    assert lease.peak_bytes == 7
    assert not engine.processes


def test_the_keeper_sees_all_gpus_and_ends_with_us(host, locks):
    engine = ProcessEngine(locks)
    with lease_through(engine):
        spec = engine.specs["keeper"]
    assert spec["Image"] == "sha256:1"
    assert spec["HostConfig"]["DeviceRequests"][0]["Count"] == -1
    assert spec["HostConfig"]["PidMode"] == f"container:{'f' * 64}"
    assert spec["Labels"] == {"a": "b", "torchproof.role": "gpu-keeper"}


def test_the_keepers_error_is_ours(host, locks):
    host({**GPU, "ecc_uncorrected": 1})
    with pytest.raises(HostError, match="no GPU is healthy"), lease_through(ProcessEngine(locks)):
        pass


def test_waiting_is_told_through_the_container(keeper, host, locks):
    holder = keeper()
    holder.stdout.readline()
    told = []
    with (
        pytest.raises(HostError, match="no GPU became free"),
        lease_through(ProcessEngine(locks), timeout=0.1, on_wait=told.append),
    ):
        pass
    assert told[0].startswith("waiting for a GPU: GPU-a is held by another run")


def test_a_keeper_that_cannot_even_start_leaves_its_last_line(host, locks):
    engine = ProcessEngine(locks)
    engine.start = lambda container: engine.processes.update(
        keeper=subprocess.Popen(["echo", "no such module"], stdout=subprocess.PIPE)
    )
    with pytest.raises(HostError, match="no such module"), lease_through(engine):
        pass
    assert not engine.processes


def test_a_lease_whose_keeper_died_does_not_count_its_times(host, locks):
    engine = ProcessEngine(locks)
    with lease_through(engine) as lease:
        engine.processes["keeper"].kill()
        engine.processes["keeper"].wait()
    assert lease.throttled == ("the lease was lost",)
    assert lease.peak_bytes is None


def test_outside_a_container_there_is_nothing_to_lease_through(locks):
    engine = ProcessEngine(locks)
    engine.mine = None
    with pytest.raises(HostError, match="in no container"), lease_through(engine):
        pass
