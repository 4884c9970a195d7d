"""Holding a GPU from a container of its own, which sees the GPUs where our own container does not.

The runner gives a Docker action no GPU. So the action starts a second container of its own image
that asks the engine for all GPUs, leases one and keeps it until it is told to stop:

    python -m torchproof.run.gpu_keeper --locks DIR [--timeout SECONDS] [--run URL]

It says one JSON object a line on stdout: ``waiting`` with a sentence, then ``leased`` or ``error``,
and, after the end of stdin or SIGTERM, the figures of the lease.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from torchproof.errors import HostError
from torchproof.run.lease import TIMEOUT, Lease, ignore, lease_here


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torchproof.run.engine import Engine, Me

VOLUME = "torchproof-locks"
LOCKS = "/torchproof/locks"


@contextmanager
def lease_through(
    engine: Engine,
    *,
    run: str = "",
    timeout: float = TIMEOUT,
    on_wait: Callable[[str], None] = ignore,
) -> Iterator[Lease]:
    """Hold a GPU of the engine's host for the time of a ``with`` block.

    The keeper shares our PID namespace, so that the kernel ends it with us.

    Args:
        engine: The docker engine; we are one of its containers.
        run: Who we are, for those who wait; a URL.
        timeout: Seconds to wait.
        on_wait: Takes a sentence on what is waited for, whenever it changes.

    Raises:
        HostError: The engine has no GPUs to give, or none became free in time.
    """
    me = engine.me()
    if me is None:
        what = "this process is in no container of the docker engine"
        raise HostError(what, "Use the GPU of this machine itself.")
    keeper = engine.create(_container(me, run, timeout))
    try:
        said = _messages(engine.attach(keeper))
        engine.start(keeper)
        lease = _leased(said, on_wait)
        try:
            yield lease
        finally:
            _release(engine, keeper, said, lease)
    finally:
        # It removes itself as soon as it has ended, and may be faster.
        with suppress(HostError):
            engine.remove(keeper, force=True)


def main(arguments: list[str] | None = None) -> int:
    """Hold a GPU until told to stop; the program in the keeper's container."""
    parser = argparse.ArgumentParser(description="Holds one GPU until stdin ends.")
    parser.add_argument("--locks", type=Path, required=True)
    parser.add_argument("--timeout", type=float, default=TIMEOUT)
    parser.add_argument("--run", default="")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    lease = None
    try:
        with lease_here(
            options.locks,
            run=options.run,
            timeout=options.timeout,
            on_wait=lambda text: _say(waiting=text),
        ) as lease:
            kind = {"driver": lease.driver, "cuda": lease.cuda}
            _say(leased={"uuid": lease.uuid, "name": lease.name, **kind})
            sys.stdin.buffer.read()
    except HostError as error:
        _say(error=error.what, remedy=error.remedy)
        return error.exit_code
    except _Stop:
        if lease is None:
            return 128 + signal.SIGTERM
    _say(peak_bytes=lease.peak_bytes, seconds=lease.seconds, throttled=lease.throttled)
    return 0


class _Stop(BaseException):
    """SIGTERM has come."""


def _stop(_number: int, _frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Stop


def _say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _container(me: Me, run: str, timeout: float) -> dict[str, Any]:
    """Describe the keeper to the engine; stdin stays open as long as nobody attaches to it."""
    command = ["-m", "torchproof.run.gpu_keeper", "--locks", LOCKS]
    return {
        "Image": me.image,
        "Entrypoint": [sys.executable],
        "Cmd": [*command, "--timeout", str(timeout), "--run", run],
        "User": "0:0",
        "WorkingDir": "/",
        "OpenStdin": True,
        # Our image says "void" here, which is right for every other container of it.
        "Env": ["NVIDIA_VISIBLE_DEVICES=all"],
        "Labels": {**me.labels, "torchproof.role": "gpu-keeper"},
        "HostConfig": {
            # The driver "" is any that has these capabilities, as with `docker run --gpus all`.
            "DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu", "utility"]]}],
            "Mounts": [{"Type": "volume", "Source": VOLUME, "Target": LOCKS}],
            "PidMode": f"container:{me.id}",
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "none"},
            # Where we are killed, nobody else is left to do it.
            "AutoRemove": True,
        },
    }


def _messages(output: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Cut the keeper's output into messages; what is none is ``other``."""
    rest = b""
    for data in output:
        *lines, rest = (rest + data).split(b"\n")
        for line in filter(None, lines):
            try:
                yield dict(json.loads(line))
            except ValueError:
                yield {"other": line.decode("utf-8", "replace")}


def _leased(said: Iterator[dict[str, Any]], on_wait: Callable[[str], None]) -> Lease:
    last = "nothing"
    for message in said:
        if "leased" in message:
            return Lease(**message["leased"])
        if "error" in message:
            raise HostError(message["error"], message["remedy"])
        if "waiting" in message:
            on_wait(message["waiting"])
        last = message.get("other", last)
    raise HostError(f"the container that holds the GPU ended; its last line was: {last[:200]}")


def _release(engine: Engine, keeper: str, said: Iterator[dict[str, Any]], lease: Lease) -> None:
    lost = "the lease was lost"
    try:
        engine.kill(keeper, "SIGTERM")
    except HostError:
        lease.throttled = (*lease.throttled, lost)
        return
    final = next((message for message in said if "peak_bytes" in message), None)
    if final is None:
        lease.throttled = (*lease.throttled, lost)
        return
    lease.peak_bytes, lease.seconds = final["peak_bytes"], final["seconds"]
    lease.throttled = tuple(final["throttled"])


if __name__ == "__main__":
    sys.exit(main())
