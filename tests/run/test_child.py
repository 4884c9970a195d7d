"""The child seal and the open seal on this machine; test_container attacks the first."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
import uuid
from pathlib import Path

import pytest

from torchproof.errors import HostError, TrustError
from torchproof.run import child, process
from torchproof.run.child import ChildSeal, OpenSeal
from torchproof.run.seal import Command


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run tests as another user")
SEALS = [pytest.param(ChildSeal, marks=needs_root), OpenSeal]
PYTHON = "/usr/bin/python3"  # the other user cannot enter a virtual environment in a closed home

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            time.sleep(0.02); open('alive', 'a').write('x')
    os._exit(0)
os.wait(); time.sleep(0.2)
"""


@pytest.fixture
def open_seal(checkout, monkeypatch):
    monkeypatch.setattr(process, "GRACE", 0.3)
    opened = []

    def one(kind, **options):
        opened.append(kind(workspace=checkout, run_id=uuid.uuid4().hex[:8], **options))
        return opened[-1]

    yield one
    for seal in opened:
        seal.close()


def run(seal, *argv, **options):
    output = []
    done = seal.run(Command(argv=argv, **options), on_output=output.append)
    return done, b"".join(output).decode()


@pytest.mark.parametrize("kind", SEALS)
def test_output_and_exit_code_come_back(open_seal, kind):
    done, output = run(open_seal(kind), "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.exit_code, output) == (3, "out\nerr\n")
    assert not done.timed_out
    assert not done.out_of_memory


@pytest.mark.parametrize("kind", SEALS)
def test_a_signal_is_a_negative_exit_code(open_seal, kind):
    assert run(open_seal(kind), "sh", "-c", "kill -SEGV $$")[0].exit_code == -signal.SIGSEGV


@pytest.mark.parametrize("kind", SEALS)
def test_the_end_of_the_time_is_told(open_seal, kind):
    done, output = run(open_seal(kind), "sh", "-c", "echo begun; exec sleep 60", timeout=0.3)
    assert (done.timed_out, done.exit_code, output) == (True, -signal.SIGTERM, "begun\n")


@pytest.mark.parametrize("kind", SEALS)
def test_who_ignores_the_first_signal_gets_the_second(open_seal, kind):
    stubborn = "trap '' TERM; while :; do echo on; sleep 0.1; done"
    done, _ = run(open_seal(kind), "sh", "-c", stubborn, timeout=0.3)
    assert (done.timed_out, done.exit_code) == (True, -signal.SIGKILL)
    assert done.seconds < 5


@pytest.mark.parametrize("kind", SEALS)
def test_an_exception_on_the_way_ends_the_command(open_seal, kind):
    def cancelled(data):
        raise KeyboardInterrupt

    started = time.monotonic()
    command = Command(argv=("sh", "-c", "echo begun; sleep 60"))
    with pytest.raises(KeyboardInterrupt):
        open_seal(kind).run(command, on_output=cancelled)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("kind", SEALS)
def test_results_are_plain_files(open_seal, kind):
    seal = open_seal(kind)
    run(seal, "sh", "-c", f"cd {seal.results}; echo x > a; ln -s /etc/passwd b; mkfifo c")
    assert [path.name for path in seal.results_here.iterdir()] == ["a"]
    seal.close()
    seal.close()
    assert not seal.results_here.exists()


@pytest.mark.parametrize("kind", SEALS)
def test_the_environment_is_an_allow_list(open_seal, kind, monkeypatch):
    monkeypatch.setenv("INPUT_GITHUB-TOKEN", "secret")
    monkeypatch.setenv("GITHUB_ENV", "/github/file_commands/env")
    _, output = run(open_seal(kind), "env", env={"ASKED": "1"})
    names = {line.partition("=")[0] for line in output.splitlines()}
    assert {"ASKED", "PATH", "TMPDIR"} <= names
    assert not {name for name in names if name.startswith(("INPUT", "GITHUB"))}


@pytest.mark.parametrize("kind", SEALS)
def test_a_command_sees_the_gpu_that_is_held_for_it_and_no_other(open_seal, kind):
    seal, look = open_seal(kind), ("sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
    assert run(seal, *look, gpu="GPU-7b1d")[1] == "GPU-7b1d\n"
    assert run(seal, *look)[1] == "\n"


@pytest.mark.parametrize("kind", SEALS)
def test_a_command_runs_in_the_directory_it_names(open_seal, kind):
    seal = open_seal(kind)
    assert run(seal, "pwd")[1] == f"{seal.workspace}\n"
    assert run(seal, "pwd", cwd=seal.workspace / ".git")[1] == f"{seal.workspace}/.git\n"


@pytest.mark.parametrize("kind", SEALS)
def test_a_program_that_is_not_there_is_an_error_with_its_name(open_seal, kind):
    with pytest.raises(HostError, match="no-such-program cannot be started: No such file"):
        run(open_seal(kind), "no-such-program")


@needs_root
def test_a_daemon_of_the_other_user_does_not_outlive_its_command(open_seal):
    seal = open_seal(ChildSeal)
    run(seal, PYTHON, "-c", DAEMON)
    alive = Path(seal.workspace / "alive")
    size = alive.stat().st_size
    time.sleep(0.2)
    assert 0 < size == alive.stat().st_size


@needs_root
def test_a_fork_bomb_is_ended(open_seal):
    bomb = (
        "import os, resource\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (40, 40))\n"
        "while True:\n    try: os.fork()\n    except OSError: os._exit(0)"
    )
    done, _ = run(open_seal(ChildSeal), PYTHON, "-c", bomb, timeout=0.5)
    assert done.seconds < 10


@needs_root
def test_directories_of_the_runner_are_closed_meanwhile(open_seal, tmp_path):
    (tmp_path / "files").mkdir(mode=0o755)
    (tmp_path / "files/env").touch(mode=0o666)
    (tmp_path / "files/env").chmod(0o666)
    for path in (tmp_path, tmp_path.parent):
        path.chmod(0o755)
    seal = open_seal(ChildSeal, closed=[tmp_path / "files"])
    done, output = run(seal, "sh", "-c", f"echo A=1 >> {tmp_path}/files/env")
    assert (done.exit_code, "Permission denied" in output) == (2, True)
    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o755


@needs_root
def test_the_other_user_is_nobody_else(open_seal):
    first, second = open_seal(ChildSeal), open_seal(ChildSeal)
    uids = {int(run(seal, "id", "-u")[1]) for seal in (first, second)}
    assert len(uids) == 2
    assert 0 not in uids


@needs_root
def test_two_seals_end_only_their_own(open_seal):
    first, second = open_seal(ChildSeal), open_seal(ChildSeal)
    heard = []

    def on_output(data):
        heard.append(data)
        second.close()

    done = first.run(Command(argv=("sh", "-c", "echo a; sleep 0.2; echo b")), on_output=on_output)
    assert (done.exit_code, b"".join(heard)) == (0, b"a\nb\n")


@needs_root
def test_a_docker_socket_open_to_all_is_refused(checkout, tmp_path, monkeypatch):
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        (tmp_path / "docker.sock").chmod(0o666)
        monkeypatch.setattr(child, "SOCKET", tmp_path / "docker.sock")
        with pytest.raises(TrustError, match="every user"):
            ChildSeal(workspace=checkout, run_id="never")


def test_the_open_seal_works_in_place_with_the_same_user(open_seal, checkout):
    run(open_seal(OpenSeal), sys.executable, "-c", "open('made', 'w')")
    assert (checkout / "made").stat().st_uid == os.geteuid()
