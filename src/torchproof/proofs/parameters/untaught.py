"""Parameters that an optimizer holds and the loss does not teach: cut, unused, dropped, flat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parameters.dropped import results_dropped
from torchproof.proofs.parameters.forgotten_losses import forgotten
from torchproof.proofs.parameters.lost_terms import lost_terms
from torchproof.proofs.parameters.sets import ID, first_use, held_ids, trainable, used
from torchproof.proofs.parameters.unreached import by_chance, told_apart
from torchproof.proofs.step.events import held_by


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation


def nothing_reached(seen: Observation) -> Iterator[Finding]:
    """Find optimizers that step although no parameter ever has a gradient."""
    if seen.steps and not seen.fed:
        yield Finding(
            ID,
            "error",
            "The optimizer steps, but no parameter ever has a gradient.",
            evidence={"optimizer steps": len(seen.steps), "backward passes": len(seen.backwards)},
            location=seen.steps[0].location,
            remedy="loss.backward()  # before optimizer.step()",
        )


def flattened(seen: Observation) -> Iterator[Finding]:
    """Find parameters whose only way to the loss leads through step functions."""
    pushed = {key for update in seen.updates for key, move in update.moves.items() if move.elements}
    never = (seen.flat & held_ids(seen)) - seen.sloped - pushed
    named = trainable(seen)
    flat = [name for name, each in named.items() if id(each) in never]
    if flat:
        yield Finding(
            ID,
            "error",
            f"The only way from {listed(flat)} to the loss leads through a step function, whose "
            f"gradient is 0 everywhere: they learn nothing.",
            evidence={"parameters": len(flat), "largest gradient": 0.0},
            location=first_use(seen, [named[name] for name in flat]),
            remedy="z = z + (z.round() - z).detach()  # the gradient goes by, straight through",
        )


def not_reached(bench: Bench, seen: Observation) -> Iterator[Finding]:
    """Find parameters that an optimizer holds and no gradient reaches."""
    stepped = {id(each) for each in held_by(step.optimizer for step in seen.steps)}
    silent = {
        name: each
        for name, each in trainable(seen).items()
        if id(each) in stepped and id(each) not in seen.fed
    }
    left = bench.once(forgotten) if silent else None
    silent = {name: each for name, each in silent.items() if not left or name not in left.names}
    cut, unused, unsure = told_apart(bench, list(silent))
    if cut:
        more = f" (none at {len(unsure)} others either)" if unsure else ""
        yield Finding(
            ID,
            "error",
            f"The loss depends on {listed(cut)}, but no gradient arrives: the path is cut{more}.",
            evidence={"parameters": len(cut), "calls": len(seen.trial.losses)},
            location=first_use(seen, [silent[name] for name in cut]),
            remedy=f"remove the detach(), no_grad(), .data or .item() behind it, or "
            f"Trainee(frozen=({cut[0]!r},)) if it is meant",
        )
        return
    dropped = results_dropped(bench, unused, used(seen))
    if dropped:
        yield Finding(
            ID,
            "error",
            f"What is computed with {listed(dropped)} is dropped: the step runs it, and nothing "
            f"reads the result.",
            evidence={"parameters": len(dropped), "calls followed": 1},
            location=first_use(seen, [silent[name] for name in dropped]),
            remedy="z = self.layer(z)  # and go on with z, or take the layer out of the model",
        )
    names = [name for name in unused + unsure if name not in dropped]
    chance = by_chance(bench, names)
    never = [name for name in names if name not in chance]
    told = "; the loss does not depend on them, so nothing uses them" if unused else ""
    other = " from this seed; some of them get one from another"
    for group, severity, text in ((never, "warning", told), (chance, "info", other)):
        if group:
            yield Finding(
                ID,
                severity,
                f"No gradient arrives at {listed(group)}{text}.",
                evidence={"parameters": len(group), "calls": len(seen.trial.losses)},
                location=None,
                remedy="use it in forward, or take it out of the model",
            )


def terms_without_gradient(bench: Bench) -> Iterator[Finding]:
    """Find terms of the loss that change with parameters and have no gradient."""
    for term in lost_terms(bench):
        yield Finding(
            ID,
            "error",
            f"A term of the loss is a number without a gradient, though it is computed from "
            f"{listed(term.names)}: it changes the loss and teaches nothing.",
            evidence={"its value": term.value, "parameters": len(term.names)},
            location=term.location,
            remedy="remove the detach(), no_grad(), .data or .item() behind it, or leave the term "
            "out of what goes backward",
        )
