"""One GPU for one run: a lock per device that the kernel releases when its holder dies.

The lock is on ``<uuid>.lock`` in a directory that all runs of the host share; the file says who
holds it. Those who wait are served in the order of their coming. A GPU also has to be healthy,
without foreign processes and with most of its memory free, because not everybody on the host asks
us.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torchproof.errors import HostError
from torchproof.run.host_lock import lock, ticket
from torchproof.run.nvml import devices, opened, sample


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torchproof.run.nvml import Device

TIMEOUT = 3600.0
POLL = 0.5
MIN_FREE = 0.8
"""The share of its memory that must be free on a GPU that nobody uses."""

_GIB = 1024**3
_RUN = re.compile(r"[\w:/.-]{1,200}", re.ASCII)


def ignore(_text: str) -> None:
    """Tell nobody."""


@dataclass
class Lease:
    """A GPU that is held; the figures are final when the ``with`` block has ended.

    Attributes:
        uuid: What CUDA_VISIBLE_DEVICES takes; an index means another GPU in another container.
        name: The model.
        driver: The driver's version.
        cuda: The newest CUDA that the driver can run.
        peak_bytes: The most memory that was in use when looked at, None if never.
        seconds: How long it was held.
        throttled: What slowed the clocks down meanwhile; with any, times mean nothing.
    """

    uuid: str
    name: str
    driver: str
    cuda: str
    peak_bytes: int | None = None
    seconds: float = 0.0
    throttled: tuple[str, ...] = ()


@contextmanager
def lease_here(
    locks: Path,
    *,
    run: str = "",
    timeout: float = TIMEOUT,
    on_wait: Callable[[str], None] = ignore,
    library: Any = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    poll: float = POLL,
) -> Iterator[Lease]:
    """Hold a GPU that this process can see for the time of a ``with`` block.

    Args:
        locks: The directory that all runs of the host share.
        run: Who we are, for those who wait; a URL.
        timeout: Seconds to wait.
        on_wait: Takes a sentence on what is waited for, whenever it changes.
        library: A module like pynvml.
        clock: Seconds that only grow.
        sleep: Waits for seconds.
        poll: Seconds between two looks, at the locks and at the GPU.

    Raises:
        HostError: There is no GPU, none is healthy, or none became free in time.
    """
    locks.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(locks, os.W_OK | os.X_OK):
        what = "the GPU locks of this host belong to another user"
        remedy = "Run all runners of a host as one user, or give each user GPUs of its own."
        raise HostError(what, remedy, where=str(locks))
    with opened(library) as nvml:
        deadline = clock() + timeout
        with ticket(locks) as ahead:
            device, held = _wait(
                locks,
                lambda: devices(nvml),
                ahead,
                run=run,
                on_wait=on_wait,
                expired=lambda: clock() >= deadline,
                sleep=lambda: sleep(poll),
            )
        lease = Lease(device.uuid, device.name, device.driver, device.cuda)
        start = clock()
        try:
            with _watched(nvml, lease, poll):
                yield lease
        finally:
            lease.seconds = round(clock() - start, 3)
            os.close(held)


def why_not(device: Device) -> str:
    """Say why a device must not be used now; empty when it may."""
    if device.unhealthy:
        return device.unhealthy
    if device.processes:
        return f"process {device.processes[0]} computes on it"
    free = device.memory_total - device.memory_used
    if free < MIN_FREE * device.memory_total:
        return f"only {free / _GIB:.0f} of {device.memory_total / _GIB:.0f} GiB are free"
    return ""


def _wait(
    locks: Path,
    look: Callable[[], tuple[Device, ...]],
    ahead: Callable[[], int],
    *,
    run: str,
    on_wait: Callable[[str], None],
    expired: Callable[[], bool],
    sleep: Callable[[], None],
) -> tuple[Device, int]:
    """Return a device and the descriptor that holds its lock."""
    told = ""
    while True:
        before = ahead()
        found = look()
        if all(device.unhealthy for device in found):
            raise _no_healthy(found)
        reasons = [f"{before} before us"] if before else []
        taken = None if before else _take(locks, found, look, run, reasons)
        if taken:
            return taken
        waiting = "; ".join(reasons)
        if waiting != told:
            on_wait(f"waiting for a GPU: {waiting}")
            told = waiting
        if expired():
            remedy = "Wait for the runs that hold them, or end the processes that are named."
            raise HostError(f"no GPU became free in time: {waiting}", remedy)
        sleep()


def _take(
    locks: Path,
    found: tuple[Device, ...],
    look: Callable[[], tuple[Device, ...]],
    run: str,
    reasons: list[str],
) -> tuple[Device, int] | None:
    """Lock the first device that may be used; otherwise say of each why not."""
    for device in found:
        held = lock(locks / f"{device.uuid}.lock")
        if held is None:
            reasons.append(f"{device.uuid} is held by {_holder(locks, device)}")
            continue
        # Its last holder may have gone between the look and the lock, so look again.
        fresh = next((other for other in look() if other.uuid == device.uuid), device)
        reason = why_not(fresh)
        if not reason:
            holder = {"run": run, "pid": os.getpid(), "since": int(time.time())}
            os.ftruncate(held, 0)
            os.write(held, json.dumps(holder).encode())
            return fresh, held
        reasons.append(f"{device.uuid}: {reason}")
        os.close(held)
    return None


def _holder(locks: Path, device: Device) -> str:
    try:
        holder = json.loads((locks / f"{device.uuid}.lock").read_text("utf-8"))
        since = time.strftime("%H:%M:%S UTC", time.gmtime(int(holder["since"])))
        run = holder["run"] if _RUN.fullmatch(holder["run"]) else "another run"
        return f"{run} (process {int(holder['pid'])}) since {since}"
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return "another run"


@contextmanager
def _watched(nvml: Any, lease: Lease, every: float) -> Iterator[None]:
    """Look at the device now and every so many seconds; keep the peak and what throttled it."""
    stop = threading.Event()

    def watch() -> None:
        try:
            while True:
                used, throttled = sample(nvml, lease.uuid)
                lease.peak_bytes = max(used, lease.peak_bytes or 0)
                lease.throttled = tuple(sorted({*lease.throttled, *throttled}))
                if stop.wait(every):
                    return
        except nvml.NVMLError as error:
            lease.throttled = (*lease.throttled, f"the GPU could not be read: {error}")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _no_healthy(found: tuple[Device, ...]) -> HostError:
    if not found:
        return HostError("the driver knows no GPU", "Look at `nvidia-smi` on the runner's host.")
    reasons = "; ".join(f"{device.uuid}: {device.unhealthy}" for device in found)
    return HostError(f"no GPU is healthy: {reasons}", "Reset or replace it; see `nvidia-smi -q`.")
