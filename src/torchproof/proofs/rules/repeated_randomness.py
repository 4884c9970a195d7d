"""Every step must draw its own random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from torchproof.proofs.batches import parted
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.randomness import DROPOUT
from torchproof.proofs.rule import rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.observation import Observation
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
    """No step draws the same dropout masks, or the same noise for its inputs, as the step before.

    Decided by the state of the generator right before each operation that draws from it while
    gradients are enabled; two draws from one state are the same bits.

    * All draws for dropout in every call of the step come from the same states as in the first
      (error).
    * Those of a line that draws noise do (error if it has the shape of an input of the batch: row
      by row, all batches get the same noise; a warning if it has another, as fixed random features
      may be meant).

    Assumes that noise for each element of an input is meant to be new. Skipped if the step cannot
    be watched; numpy's and python's generators and those of other devices are not looked at.
    """
    seen = bench.observation
    drawn = [each for each in seen.draws if each.trains]
    dropout = [each for each in drawn if each.name in DROPOUT]
    if _repeats(seen, dropout):
        yield _finding(seen, dropout, "error", "dropout mask")
        return
    fixed = [noise for noise in _noise_by_line(drawn) if _repeats(seen, noise)]
    shapes = _shapes_of_inputs(bench)
    for noise in sorted(fixed, key=lambda each: each[0].shape not in shapes)[:1]:
        whole = noise[0].shape in shapes
        yield _finding(seen, noise, "error" if whole else "warning", "noise")


def _noise_by_line(draws: list[Draw]) -> list[list[Draw]]:
    lines: dict[tuple[str, Optional[str]], list[Draw]] = {}
    for each in draws:
        if each.name not in DROPOUT:
            lines.setdefault((each.name, each.location), []).append(each)
    return list(lines.values())


def _shapes_of_inputs(bench: Bench) -> set[tuple[int, ...]]:
    inputs = parted(bench.trainee).inputs.values()
    return {tuple(each.shape) for each in inputs if each.is_floating_point() and each.dim() > 1}


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
        remedy="torch.manual_seed(seed)  # once, before the training loop; so a torch.Generator",
    )


def _seeding(seen: Observation) -> Optional[str]:
    lines = [event.location for event in seen.events if event.kind == "seed"]
    return next((line for line in lines if line), None)
