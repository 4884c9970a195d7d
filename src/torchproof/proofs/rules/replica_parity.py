"""The replicas of data-parallel training must stay one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parallel.replicas import Replicas, replicas
from torchproof.proofs.rule import rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "replica-parity"


@rule(
    ID,
    summary="replicas that see different rows hold the same parameters after an update",
    source="openvla-oft #160, trl #5282 (DistributedDataParallel bypassed); TrainCheck, OSDI 2025",
    needs=("observation", "reproducible"),
    severity="error",
)
def replica_parity(bench: Bench) -> Iterator[Finding]:
    """A parameter depends on the rows of one process only through what processes exchange.

    Decided in one process, by running the step until its first update on other rows of the batch
    while every collective returns what it returned for the real ones: this is what another replica
    would hold. It is an error if the bits differ

    * for a parameter that a ``DistributedDataParallel`` holds: it was called past the wrapper
      (``ddp.module(x)``), always under ``no_sync``, or changed by something else,
    * for a parameter that no collective reaches, while others of the trainee come out equal,
    * for one whose gradient is given to a collective, but not so that the update would use the
      result: a copy of it, or after the update.

    If no parameter comes out equal it is a warning: the processes may train on their own.

    Assumes that processes get different rows, and that a trainee which averages the gradients of
    some parameters means all those that are not computed from exchanged tensors.
    Skipped without a process group of one process, if the step exchanges nothing and nothing is
    wrapped, if what it exchanges depends on the rows, or if the step is not reproducible.
    """
    found = bench.once(replicas)
    wrapped = [name for name in found.apart if name in found.wrapped]
    alone = [name for name in found.alone if name not in found.wrapped]
    location = bench.observation.updates[0].location
    if wrapped:
        cause = "DistributedDataParallel did not average their gradients"
        yield _finding(found, "error", wrapped, cause, location)
    unused = [name for name in alone if name in found.sent] if not found.agreed else []
    if unused:
        cause = "their gradients are exchanged, and the update does not use what comes of it"
        yield _finding(found, "error", unused, cause, location)
    alone = [name for name in alone if name not in unused]
    if alone:
        severity = "error" if found.agreed else "warning"
        yield _finding(found, severity, alone, "no process sees the others' gradients", location)


def _finding(
    found: Replicas, severity: str, names: list[str], cause: str, location: Optional[str]
) -> Finding:
    gap = max(found.apart[name] for name in names)
    return Finding(
        ID,
        severity,
        f"Replicas drift apart: after one update {listed(names)} would differ by {gap:.3g} on a "
        f"process with other rows; {cause}.",
        evidence={
            "parameters apart": len(names),
            "parameters in agreement": len(found.agreed),
            "largest difference": gap,
            "collectives seen": found.collectives,
        },
        location=location,
        remedy="loss = ddp(batch)  # not ddp.module(batch); the last micro-batch outside no_sync()",
    )
