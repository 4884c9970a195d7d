"""The container seal in a container that is started as the runner starts a Docker action."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from tests.images import base_image
from tests.run.job import CANARY, git

from torchproof.errors import HostError
from torchproof.run import container
from torchproof.run.container import ContainerSeal
from torchproof.run.seal import Command


pytestmark = pytest.mark.docker

ATTACK = {"argv": ["python3", "attacks.py"]}


def python(code, **order):
    return {"argv": ["python3", "-c", code], **order}


def wait_until(true, timeout=10.0):
    deadline = time.monotonic() + timeout
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


@pytest.fixture
def seal(engine, checkout, tmp_path, monkeypatch):
    """Return a function that opens seals from the host, where no container is ours."""
    monkeypatch.setattr(container, "GRACE", 0.3)
    opened, volume = [], f"torchproof-test-{uuid.uuid4().hex[:8]}"

    def open_seal(**options):
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "1001:1001", checkout], check=True)
        options = {"image": base_image(), "environ": {"RUNNER_TEMP": str(tmp_path)}, **options}
        run_id = uuid.uuid4().hex[:8]
        place = {"workspace": checkout, "run_id": run_id, "cache_volume": volume, "network": "none"}
        opened.append(ContainerSeal(engine, **place, **options))
        return opened[-1]

    yield open_seal
    for one in opened:
        one.close()
    subprocess.run(["docker", "volume", "rm", volume], capture_output=True, check=False)


def run(seal, *argv, **options):
    output = []
    done = seal.run(Command(argv=argv, **options), on_output=output.append)
    return done, b"".join(output).decode()


def test_without_a_seal_the_attacks_work(job):
    worked = json.loads(job.step("none", ATTACK)["done"][0]["output"])
    assert len(worked) >= 11, worked


@pytest.mark.parametrize("owner", [1001, 0])
@pytest.mark.parametrize("kind", ["container", "child"])
def test_no_attack_works_in_a_seal(job, kind, owner):
    job.give(owner)
    told = job.step(kind, ATTACK)
    assert (told["done"][0]["exit_code"], told["done"][0]["output"]) == (0, "{}")
    assert told["secret_keys"] == ["http.https://github.com/.extraheader", "include.path"]


def test_files_made_by_tests_belong_to_the_workspace_owner_and_nothing_else_stays(job):
    before = sorted(job.temp.iterdir())
    job.step("container", python("import os; os.makedirs('out/deep'); open('out/deep/x', 'w')"))
    assert (job.workspace / "out/deep/x").exists()
    assert job.not_owned() == []
    assert sorted(job.temp.iterdir()) == before
    assert job.siblings() == []


@pytest.mark.parametrize("kind", ["container", "child"])
def test_a_workspace_that_belongs_to_root_is_left_as_it_was(job, kind):
    job.give(0)
    told = job.step(kind, python("import os; open('x', 'w'); print(os.getuid() != 0)"))
    assert told["done"][0]["output"] == "True\n"
    assert not (job.workspace / "x").exists()


@pytest.mark.parametrize("kind", ["container", "child"])
def test_git_works_in_the_seal_and_the_original_stays(job, kind):
    config = (job.workspace / ".git/config").read_text()
    spoil = "git config a.b c; git tag stolen; rm -f .git/objects/??/*; git describe"
    told = job.step(kind, {"argv": ["git", "describe"]}, {"argv": ["sh", "-c", spoil]})
    assert told["done"][0]["output"] == "v1.0\n"
    assert (job.workspace / ".git/config").read_text() == config
    assert git(job.workspace, "tag") == "v1.0"
    git(job.workspace, "fsck", "--full")


def test_the_sibling_has_what_a_docker_action_lacks(job):
    code = (
        "import os; s = os.statvfs('/dev/shm'); print(os.getuid(), s.f_blocks * s.f_frsize >> 20)"
    )
    save = python("open('/torchproof/cache/kept', 'w').write('here')")
    look = python("print(open('/torchproof/cache/kept').read())")
    first = job.step("container", python(code), save)
    assert first["done"][0]["output"] == "1001 2048\n"
    assert job.step("container", look)["done"][0]["output"] == "here\n"


def test_a_runner_from_before_runner_temp_was_mounted_will_do(job):
    told = job.step("container", {"argv": ["git", "describe"]}, mounts=())
    assert told["done"][0]["output"] == "v1.0\n"
    assert job.not_owned() == []


@pytest.mark.parametrize("kind", ["container", "child"])
def test_results_come_back_but_nothing_that_leads_away(job, kind):
    code = (
        "import os, sys; os.chdir(sys.argv[1]); open('events', 'w').write('{}');"
        "os.symlink('/proc/1/environ', 'link'); os.mkfifo('pipe')"
    )
    place = {"container": "/torchproof/results", "child": f"/tmp/torchproof-{job.id}/results"}[kind]
    told = job.step(kind, {"argv": ["python3", "-c", code, place]})
    assert told["results"] == {"events": "{}"}


@pytest.mark.parametrize("kind", ["container", "child"])
def test_a_daemon_does_not_outlive_its_command(job, kind):
    daemon = (
        "import os, time\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n"
        "    os._exit(0)\nos.wait()"
    )
    count = (
        "import pathlib\n"
        "states = [p.read_text() for p in pathlib.Path('/proc').glob('[0-9]*/stat')]\n"
        "print(sum(') Z' not in state for state in states))"
    )
    told = job.step(kind, python(count), python(daemon), python(count))
    before, _, after = (done["output"] for done in told["done"])
    assert after == before


def runs(*argv):
    """Say whether a process with these arguments lives anywhere on the machine."""
    command = "\0".join([*argv, ""]).encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == command:
                return True
    return False


@pytest.mark.parametrize("kind", ["container", "child"])
def test_a_cancelled_step_leaves_nothing(job, kind):
    sleep = ("sleep", f"600.{int(job.id, 16)}")
    with job.start(kind, {"argv": sleep}) as client:
        assert wait_until(lambda: runs(*sleep))
        started = time.monotonic()
        subprocess.run(
            ["docker", "kill", "--signal=INT", job.name], check=True, capture_output=True
        )
        assert client.wait(10) == 130
    assert time.monotonic() - started < 3
    assert not runs(*sleep)
    assert job.siblings() == []
    assert not list(job.temp.glob("torchproof-*"))


@pytest.mark.parametrize("kind", ["container", "child"])
def test_the_kernel_ends_the_tests_when_the_action_is_killed(job, kind):
    sleep = ("sleep", f"600.{int(job.id, 16)}")
    with job.start(kind, {"argv": sleep}) as client:
        assert wait_until(lambda: runs(*sleep))
        subprocess.run(["docker", "kill", job.name], check=True, capture_output=True)
        client.wait(10)
    assert wait_until(lambda: not runs(*sleep), 3)
    container.sweep(job.engine, job.id, environ={"RUNNER_TEMP": str(job.temp)})
    assert job.siblings() == []
    assert job.not_owned() == []


def test_from_a_host_the_workspace_has_its_own_path(seal, checkout):
    done, output = run(seal(), "pwd")
    assert (done.exit_code, output) == (0, f"{checkout}\n")


def test_the_environment_is_the_named_one(seal):
    one = seal(env={"HTTPS_PROXY": "http://proxy"})
    _, output = run(one, "env", env={"TORCHPROOF_X": "1", "HOME": "/elsewhere"})
    names = dict(line.split("=", 1) for line in output.splitlines())
    assert names.keys() == {
        *("PATH", "HOSTNAME", "HOME", "TMPDIR", "USER", "LOGNAME", "NVIDIA_VISIBLE_DEVICES"),
        *("HTTPS_PROXY", "TORCHPROOF_X"),
    }
    assert names["HOME"] == "/torchproof/home"


def test_a_command_that_is_late_is_ended(seal):
    done, output = run(seal(), "sh", "-c", "echo begun; sleep 600", timeout=0.5)
    assert (done.timed_out, done.exit_code, output) == (True, -signal.SIGKILL, "begun\n")


def test_a_command_that_outgrows_its_memory_is_told_apart(seal):
    one = seal(memory=64 * 1024**2)
    done, _ = run(one, "python3", "-c", "x = bytearray(512 * 1024**2)")
    assert (done.out_of_memory, done.exit_code) == (True, -signal.SIGKILL)
    done, _ = run(one, "python3", "-c", "raise SystemExit(3)")
    assert (done.out_of_memory, done.exit_code) == (False, 3)


def test_a_child_that_outgrows_the_memory_of_our_container_is_told_apart(job):
    limit = ("--memory=128m", "--memory-swap=128m")
    told = job.step("child", python("x = bytearray(512 * 1024**2)"), options=limit)["done"][0]
    assert (told["out_of_memory"], told["exit_code"]) == (True, -signal.SIGKILL)


def test_a_program_that_is_not_there_is_an_error_with_its_name(seal):
    with pytest.raises(HostError, match="no-such-program"):
        run(seal(), "no-such-program")


def test_closing_twice_is_no_error(seal, engine):
    one = seal()
    run(one, "true")
    one.close()
    one.close()
    assert not one.results_here.exists()


def test_an_image_is_needed_on_a_host(seal):
    with pytest.raises(HostError, match="needs an image"):
        seal(image=None)


def test_submodules_nested_checkouts_and_worktrees_lose_their_token_too(seal, checkout, tmp_path):
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(checkout), str(other))
    git(checkout, "submodule", "add", "-q", str(other), "sub")
    git(checkout, "worktree", "add", "-q", str(checkout / "tree"))
    git(checkout, "clone", "-q", str(other), str(checkout / "nested"))
    for place in ("sub", "nested"):
        git(checkout / place, "config", "http.https://github.com/.extraheader", CANARY)
    one = seal()
    look = "git -C sub describe && git -C tree describe && git -C nested describe && git status -s"
    _, output = run(one, "sh", "-c", look + "; grep -r CANARY . ; true")
    assert output.splitlines()[:3] == ["v1.0"] * 3
    assert "CANARY" not in output


def test_a_checkout_that_is_moved_from_under_its_cover_is_covered_again(seal, checkout):
    git(checkout, "clone", "-q", str(checkout), str(checkout / "nested"))
    git(checkout / "nested", "config", "http.https://github.com/.extraheader", CANARY)
    one = seal()
    assert run(one, "mv", "nested", "moved")[0].exit_code == 0
    assert run(one, "cat", "moved/.git/config")[1].startswith("[core]")
    assert CANARY not in run(one, "grep", "-r", "CANARY", ".")[1]
    assert not (checkout / "nested").exists()
