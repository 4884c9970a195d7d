"""One run of one tier in the seal, and the record that comes out of it."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import TYPE_CHECKING

from torchproof.record import PASSED, Cost, Record, fold_file, how_it_died
from torchproof.run.diagnose import Tail, diagnose
from torchproof.run.pull import pull
from torchproof.run.seal import Command


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import PurePosixPath

    from torchproof.plan import Job
    from torchproof.run.lease import Lease
    from torchproof.run.seal import Completed, Seal
    from torchproof.settings import Settings


FINGERPRINT_SECONDS = 600.0  # what a few steps on a CPU may take before a GPU is asked instead


def run_tier(
    seal: Seal,
    job: Job,
    settings: Settings,
    *,
    python: str,
    on_output: Callable[[bytes], None],
    lease: Lease | None = None,
    directory: PurePosixPath | None = None,
) -> Record:
    """Pull the data that a tier names, run its tests and fold what they wrote.

    Args:
        seal: Where to run them.
        job: Tier and seed.
        settings: The project's settings.
        python: The user environment's interpreter, as the seal sees it.
        on_output: Takes what the tests print; hostile.
        lease: The GPU that is held for this run, None for a CPU run.
        directory: The project inside the workspace, when it is not its root.

    Returns:
        The record, without its source; the hardware in it is what we saw, not what the tests say.
    """
    name = f"{job.name}-s{job.seed}.jsonl"
    tier = settings.tiers[job.tier]
    timeout = min(tier.timeout, FINGERPRINT_SECONDS) if job.fingerprint else tier.timeout
    command = Command(
        argv=(
            python,
            "-m",
            "pytest",
            "-p",
            "torchproof",
            f"--rootdir={directory or seal.workspace}",
            f"--torchproof-tier={job.tier}",
            f"--torchproof-seed={job.seed}",
            f"--torchproof-events={seal.results / name}",
            *(("--torchproof-fingerprint",) if job.fingerprint else ()),
            *settings.pytest_args,
        ),
        env=_environment(seal, settings, tier.env),
        timeout=timeout,
        gpu=lease.uuid if lease else None,
        cwd=directory,
    )
    pulled, missing = pull(seal, command, tier.pull, on_output=on_output)
    if missing:
        return _not_run(job, missing, pulled, lease)
    tail = Tail(on_output)
    command = replace(command, timeout=max(timeout - pulled, 1.0))
    done = seal.run(command, on_output=tail)
    record = fold_file(seal.results_here / name, tier=job.name, exit_code=done.exit_code)
    fingerprint = {**record.fingerprint, "hardware": hardware(lease)}
    cost = replace(record.cost, seconds=round(pulled + done.seconds, 3))
    record = replace(record, tier=job.name, seed=job.seed, fingerprint=fingerprint, cost=cost)
    return _explained(record, done, timeout, tail.text)


def hardware(lease: Lease | None) -> dict[str, str]:
    """Name the machine: device kind, processor, and the GPU that was held."""
    facts = {"device": "cuda" if lease else "cpu", "arch": platform.machine(), "cpu": _cpu()}
    if lease:
        facts |= {"gpu": lease.name, "driver": lease.driver, "cuda": lease.cuda}
    return facts


def _environment(seal: Seal, settings: Settings, tier: Mapping[str, str]) -> dict[str, str]:
    return {
        "CI": "true",
        # Must be set before CUDA starts, so that deterministic algorithms can be asked for later.
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        **settings.env,
        **tier,
        "PYTHONPATH": ":".join(filter(None, (str(seal.plugin), settings.env.get("PYTHONPATH")))),
    }


def _not_run(job: Job, reason: str, seconds: float, lease: Lease | None) -> Record:
    return Record(
        tier=job.name,
        state="not-run",
        reason=reason,
        seed=job.seed,
        fingerprint={"hardware": hardware(lease)},
        cost=Cost(seconds=round(seconds, 3)),
    )


def _explained(record: Record, done: Completed, timeout: float, output: str) -> Record:
    """Say what the operating system and the output know and the events cannot."""
    if done.timed_out:
        reason = f"the tier took longer than its {timeout:.0f} s and was stopped"
        return replace(record, state="timed-out", reason=reason)
    if done.out_of_memory:
        return replace(record, state="crashed", reason="the test process ran out of memory")
    if record.state == "complete" and done.exit_code < 0:
        reason = f"the test process {how_it_died(done.exit_code)} after its last test"
        return replace(record, state="crashed", reason=reason)
    known = None if _any_passed(record) else diagnose(output)
    if known is None:
        return record
    sentence = f"{known.what}. {known.remedy}"
    if record.state != "complete":
        return replace(record, reason=sentence)
    return replace(record, notes=(*record.notes, sentence))


def _any_passed(record: Record) -> bool:
    return any(outcome.outcome in PASSED for outcome in record.outcomes)


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            names = (line.partition(":")[2].strip() for line in lines if "model name" in line)
            return next(names, platform.processor())
    except OSError:
        return platform.processor()
