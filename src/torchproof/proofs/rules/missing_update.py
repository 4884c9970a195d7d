"""Gradients must end in an update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.bits import different
from torchproof.proofs.events import held_by
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.optimizers import optimizer_hooks
from torchproof.proofs.rule import rule
from torchproof.proofs.trial import parameters


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.optim import Optimizer

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.observation import Observation

ID = "missing-update"
# Longer than gradients are accumulated for, or a critic is trained alone, on one batch.
_CALLS = 40


@rule(
    ID,
    summary="the step computes gradients and an optimizer uses them",
    source="Humbatova et al., ICSE 2020 (missing API call); TrainCheck, OSDI 2025",
    needs=("optimizer",),
    severity="error",
)
def missing_update(bench: Bench) -> Iterator[Finding]:
    """A step that has an optimizer runs backward and steps the optimizer.

    Decided from what was seen: there is an optimizer, nothing stepped, and no parameter or buffer
    that it holds changed a bit. If there were backward passes, the step is called up to 40 times
    more, so that gradients may be accumulated; if there were none, nothing can come. An optimizer
    that waits while another one steps (a GAN's other half) is a warning.

    Assumes that gradients are accumulated for at most 40 calls. Skipped without a torch optimizer.
    """
    seen = bench.observation
    if not seen.backwards and not seen.steps and not _moved(seen):
        yield _nothing(seen)
        return
    waiting = _waiting(seen)
    never = _never_stepped(bench, waiting) if waiting else []
    if not never:
        return
    severity = "warning" if seen.steps else "error"
    yield Finding(
        ID,
        severity,
        f"Gradients arrive at {listed(never)}, but the optimizer that holds them never steps.",
        evidence={
            "backward passes": len(seen.backwards),
            "optimizer steps": len(seen.steps),
            "calls tried": _CALLS,
        },
        location=seen.first_backward,
        remedy="optimizer.step()  # after loss.backward()",
    )


def _nothing(seen: Observation) -> Finding:
    return Finding(
        ID,
        "error",
        "The step computes a loss and nothing else: no backward(), no optimizer.step().",
        evidence={"calls": len(seen.trial.losses), "parameters that changed": 0},
        location=seen.losses[0].location if seen.losses else None,
        remedy="optimizer.zero_grad(); loss.backward(); optimizer.step()",
    )


def _moved(seen: Observation) -> set[str]:
    return set(different(seen.before, seen.after))


def _waiting(seen: Observation) -> list[str]:
    """Name what has a gradient and an optimizer, but was neither stepped nor moved."""
    held = {id(each) for each in held_by(seen.optimizers)}
    stepped = {id(each) for each in held_by(step.optimizer for step in seen.steps)}
    moved = _moved(seen)
    return [
        name
        for name, each in parameters(seen.trial.trainee).items()
        if id(each) in held & seen.fed.keys() - stepped and name not in moved
    ]


def _never_stepped(bench: Bench, waiting: list[str]) -> list[str]:
    """Go on calling the step until each of these has been stepped; name those that never are."""
    stepped: set[int] = set()

    def before(optimizer: Optimizer) -> None:
        stepped.update(id(each) for each in held_by([optimizer]))

    with bench.trial() as trial, optimizer_hooks(before=before):
        named = parameters(trial.trainee)
        for _ in range(_CALLS):
            trial.step()
            left = [name for name in waiting if id(named[name]) not in stepped]
            if not left:
                return []
    return left
