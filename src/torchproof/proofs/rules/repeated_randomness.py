"""Every step must draw its own random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.randomness import DROPOUT
from torchproof.proofs.rule import rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.observe import Observation
    from torchproof.proofs.randomness import Draw

ID = "repeated-randomness"


@rule(
    ID,
    summary="dropout masks and noise are new in every step",
    source="torch.manual_seed inside the training loop; TrainCheck, OSDI 2025",
    needs=("observation",),
    severity="error",
)
def repeated_randomness(bench: Bench) -> Iterator[Finding]:
    """No step draws the same dropout masks as the step before.

    Decided by the state of torch's generator on the CPU right before each operation that draws from
    it while gradients are enabled. If all draws for dropout in every call of the step come from the
    same states as in the first, the masks are the same bits at every step (error). If only other
    noise repeats, it is a warning: it may be meant.

    Assumes nothing. Skipped if the step cannot be watched; numpy's, python's and private generators
    are not looked at.
    """
    seen = bench.observation
    drawn = [each for each in seen.draws if each.trains]
    dropout = [each for each in drawn if each.name in DROPOUT]
    noise = [each for each in drawn if each.name not in DROPOUT]
    if _repeats(seen, dropout):
        yield _finding(seen, dropout, "error", "dropout mask")
    elif _repeats(seen, noise):
        yield _finding(seen, noise, "warning", "noise")


def _repeats(seen: Observation, draws: list[Draw]) -> bool:
    """Tell whether every call draws, and from the same states as the call before."""
    calls = range(len(seen.trial.losses))
    states = [[each.state for each in draws if each.call == call] for call in calls]
    return len(states) > 1 and bool(states[0]) and all(each == states[0] for each in states)


def _finding(seen: Observation, draws: list[Draw], severity: str, what: str) -> Finding:
    return Finding(
        ID,
        severity,
        f"Every step draws the same {what}: the generator is set to the same state each time.",
        evidence={
            "draws in a step": len([each for each in draws if each.call == 0]),
            "operations": listed(sorted({each.name for each in draws})),
            "steps compared": len(seen.trial.losses),
        },
        location=_seeding(seen) or draws[0].location,
        remedy="torch.manual_seed(seed)  # once, before the training loop",
    )


def _seeding(seen: Observation) -> Optional[str]:
    lines = [event.location for event in seen.events if event.kind == "seed"]
    return next((line for line in lines if line), None)
