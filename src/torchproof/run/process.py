"""One process from its start to its end: output as it comes, a deadline, and what ended it."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from torchproof.errors import HostError
from torchproof.run.seal import Completed


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import PurePosixPath

    from torchproof.run.scratch import Owner

GRACE = 5.0
"""Seconds between SIGTERM and the end at a timeout."""

_DRAIN = 1.0
_CHUNK = 64 * 1024

# Options of prctl(2), from linux/prctl.h.
_SET_PDEATHSIG = 1
_SET_NO_NEW_PRIVS = 38

_prctl = ctypes.CDLL(None, use_errno=True).prctl


def run_process(
    argv: tuple[str, ...],
    *,
    cwd: PurePosixPath,
    env: Mapping[str, str],
    timeout: float | None,
    on_output: Callable[[bytes], None],
    end: Callable[[], None],
    on_start: Callable[[int], None] = lambda _: None,
    owner: Owner | None = None,
    max_processes: int | None = None,
) -> Completed:
    """Run a program in a session of its own, with no descriptor of ours but a pipe.

    Args:
        argv: The program and its arguments.
        cwd: Where it runs.
        env: All of its environment.
        timeout: Seconds until SIGTERM; None is no limit.
        on_output: Takes stdout and stderr as they come.
        end: Kills what the program has started; called at every way out.
        on_start: Takes the process id, which is its session and process group too.
        owner: The user it runs as; ourselves when None.
        max_processes: How many processes and threads its user may have.

    Raises:
        HostError: The program cannot be started.
    """
    started, oom_kills = time.monotonic(), _oom_kills()
    with _started(argv, cwd, env, owner, max_processes) as process:
        try:
            on_start(process.pid)
            timed_out = _watch(process, timeout, on_output, end)
        finally:
            end()
        _drain(process.stdout, on_output)
    killed = process.returncode == -signal.SIGKILL
    return Completed(
        exit_code=process.returncode,
        seconds=time.monotonic() - started,
        timed_out=timed_out,
        out_of_memory=killed and _oom_kills() > oom_kills,
    )


def _started(
    argv: tuple[str, ...],
    cwd: PurePosixPath,
    env: Mapping[str, str],
    owner: Owner | None,
    max_processes: int | None,
) -> subprocess.Popen[bytes]:
    user: dict[str, Any] = {}
    if owner:
        user = {"user": owner.uid, "group": owner.gid, "extra_groups": []}
    try:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _harden(max_processes),  # noqa: PLW1509 - the one way to set these before exec; it takes no lock
            **user,
        )
    except OSError as error:
        what = f"{argv[0]} cannot be started: {error.strerror}"
        raise HostError(what, "Check that it exists and every user may run it.") from error


def _harden(max_processes: int | None) -> None:
    """Runs in the child before the program: no way up, and the kernel ends it with us."""
    _prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _prctl(_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if max_processes is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        most = max_processes if hard == resource.RLIM_INFINITY else min(max_processes, hard)
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def _watch(
    process: subprocess.Popen[bytes],
    timeout: float | None,
    on_output: Callable[[bytes], None],
    end: Callable[[], None],
) -> bool:
    """Pass output on until the program has ended; say whether its time was up."""
    output, ended = _pipe(process), os.pidfd_open(process.pid)
    steps = [lambda: os.killpg(process.pid, signal.SIGTERM), end] if timeout is not None else []
    due = time.monotonic() + (timeout or 0)
    timed_out = False
    waiting = [output, ended]
    try:
        while ended not in (ready := _ready(waiting, due if steps else None)):
            if output in ready and not _pass_on(output, on_output):
                waiting.remove(output)
            if steps and time.monotonic() >= due:
                steps.pop(0)()
                due, timed_out = due + GRACE, True
        process.wait()
    finally:
        os.close(ended)
    return timed_out


def _drain(output: IO[bytes] | None, on_output: Callable[[bytes], None]) -> None:
    """Pass on what the ended program left in the pipe, which a surviving daemon may keep open."""
    due = time.monotonic() + _DRAIN
    if output is not None:
        while _ready([output.fileno()], due) and _pass_on(output.fileno(), on_output):
            pass


def _pipe(process: subprocess.Popen[bytes]) -> int:
    if process.stdout is None:
        raise ValueError("the process has no output pipe")
    return process.stdout.fileno()


def _pass_on(output: int, on_output: Callable[[bytes], None]) -> bool:
    data = os.read(output, _CHUNK)
    if data:
        on_output(data)
    return bool(data)


def _ready(descriptors: list[int], due: float | None) -> list[int]:
    """Wait until one of them can be read, or the time has come."""
    left = None if due is None else max(0.0, due - time.monotonic())
    return select.select(descriptors, [], [], left)[0]


def _oom_kills() -> int:
    """Count how often the kernel has killed for want of memory since boot."""
    lines = Path("/proc/vmstat").read_text("ascii").splitlines()
    counters = dict(line.split() for line in lines)
    return int(counters.get("oom_kill", 0))
