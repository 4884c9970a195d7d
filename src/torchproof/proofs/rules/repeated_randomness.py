"""Every step must draw its own random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from torchproof.proofs.batches import parted
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.process.randomness import DROPOUT
from torchproof.proofs.rule import rule
from torchproof.proofs.step.observe import observe
from torchproof.proofs.tensors.trees import map_tensors, named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.process.randomness import Draw
    from torchproof.proofs.step.observation import Observation

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
    * Those of a line that draws noise do (error if it has one row for each row of the batch, so
      that a batch without its last row gets one row less, or the shape of an input, where the step
      takes no such batch: row by row, all batches get the same noise; a warning if it has another,
      as fixed random features may be meant).

    The global generators of numpy and python count where they are called through their modules, and
    so does one that the step makes with ``numpy.random.default_rng``.

    Assumes that noise for each row of a batch is meant to be new. Skipped if the step cannot be
    watched; generators of other devices are not looked at.
    """
    seen = bench.observation
    drawn = [each for each in seen.draws if each.trains]
    dropout = [each for each in drawn if each.name in DROPOUT]
    if _repeats(seen, dropout):
        yield _finding(seen, dropout, "error", "dropout mask")
        return
    fixed = [noise for noise in _noise_by_line(drawn) if _repeats(seen, noise)]
    if fixed:
        sure = [noise for noise in fixed if _for_rows(bench, noise)]
        yield _finding(seen, (sure or fixed)[0], "error" if sure else "warning", "noise")


def _noise_by_line(draws: list[Draw]) -> list[list[Draw]]:
    lines: dict[tuple[str, Optional[str]], list[Draw]] = {}
    for each in draws:
        if each.name not in DROPOUT:
            lines.setdefault((each.name, each.location), []).append(each)
    return list(lines.values())


def _shapes_of_inputs(bench: Bench) -> set[tuple[int, ...]]:
    inputs = parted(bench.trainee).inputs.values()
    return {tuple(each.shape) for each in inputs if each.is_floating_point() and each.dim() > 1}


def _for_rows(bench: Bench, noise: list[Draw]) -> bool:
    """Tell whether noise is drawn for the rows of the batch."""
    drawn, rows = noise[0], _rows(bench.trainee.batch)
    if drawn.name == "randperm" or not drawn.shape or drawn.shape[0] != rows:
        return False
    again = bench.once(_without_the_last_row)
    if not again:
        return drawn.shape in _shapes_of_inputs(bench)
    fewer = (drawn.name, drawn.location, (rows - 1, *drawn.shape[1:]))
    return fewer in [(each.name, each.location, each.shape) for each in again]


def _rows(batch: Any) -> int:
    return next((len(each) for each in named_tensors(batch).values() if each.dim()), 0)


def _without_the_last_row(bench: Bench) -> list[Draw]:
    """Return what the step draws for a batch with one row less; nothing if it does not run."""
    rows = _rows(bench.trainee.batch)
    try:
        with bench.trial() as trial, observe(trial) as seen:
            trial.trainee.batch = map_tensors(
                trial.trainee.batch,
                lambda each: each.detach()[:-1] if each.dim() and len(each) == rows else each,
            )
            trial.step()
    except Exception:  # noqa: BLE001 - the step need not take a smaller batch
        return []
    return seen.draws


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
