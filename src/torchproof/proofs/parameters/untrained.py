"""Gradients that no optimizer ever uses: at what it does not hold, or no module registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parameters.computed_once import computed_once, never_learned
from torchproof.proofs.parameters.deliberate import frozen_by_mode, idle_models, marked_untrained
from torchproof.proofs.parameters.forgotten_models import forgotten_models
from torchproof.proofs.parameters.passing import made_anew
from torchproof.proofs.parameters.plain_leaves import plain_leaves
from torchproof.proofs.parameters.sets import ID, first_use, held_ids, trainable
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import different


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation


def not_trained(bench: Bench, seen: Observation) -> Iterator[Finding]:
    """Find parameters that get gradients and that no optimizer holds."""
    held = held_ids(seen)
    moved = set(different(seen.before, seen.after))
    names = [
        name
        for name, each in trainable(seen).items()
        if id(each) in seen.fed and id(each) not in held and name not in moved
    ]
    foreign = len(held - {id(each) for each in parameters(seen.trial.trainee).values()})
    trains = any(key in seen.fed for key in held)
    idle = idle_models(seen, held) if trains and not foreign else ()
    missed = forgotten_models(bench, idle) if names else ()
    idle = tuple(f"{key}." for key in idle if key not in missed)
    marked = {name for name, each in trainable(seen).items() if marked_untrained(each)}
    deliberate = [
        name
        for name in names
        if name in marked or frozen_by_mode(seen, name) or name.startswith(idle)
    ]
    forgotten = [name for name in names if name not in deliberate]
    late = "  # after the last change to the model" if foreign else ""
    cures = {
        "error": f"optimizer = ...(model.parameters()){late}",
        "warning": "requires_grad_(False)",
    }
    for group, severity in ((forgotten, "error"), (deliberate, "warning")):
        if group:
            yield Finding(
                ID,
                severity,
                f"Gradients arrive at {listed(group)}, but no optimizer holds them: never trained.",
                evidence={
                    "parameters": len(group),
                    "held by optimizers": len(held),
                    "of these not the model's": foreign,
                },
                location=next((line for line in seen.optimizers.values() if line), None),
                remedy=f"{cures[severity]}, or Trainee(frozen=({group[0]!r},)) if it is meant",
            )


def not_registered(bench: Bench, seen: Observation) -> Iterator[Finding]:
    """Find tensors that get gradients and that no module has registered."""
    known = held_ids(seen) | {id(each) for each in parameters(seen.trial.trainee).values()}
    paths = [
        path
        for path, each in seen.hidden.items()
        if id(each) in seen.fed.keys() - known and each.grad is not None
    ]
    if paths:
        yield Finding(
            ID,
            "error",
            f"Gradients arrive at {listed(paths)}, but no module has registered them: "
            f"parameters(), state_dict() and the optimizer miss them.",
            evidence={"tensors": len(paths)},
            location=first_use(seen, [seen.hidden[path] for path in paths]),
            remedy=_registration(paths[0]),
        )
    known |= {id(each) for each in seen.hidden.values()}
    foreign = [
        each
        for key, each in seen.fed.items()
        if key not in known and isinstance(each, torch.nn.Parameter)
    ]
    anew = made_anew(seen, foreign)
    if anew:
        yield Finding(
            ID,
            "error",
            f"A model makes a layer anew at each call: {len(anew)} parameters, with other values "
            f"each time, that nothing can train.",
            evidence={"parameters": len(anew), "shape of the first": list(anew[0].shape)},
            location=first_use(seen, anew),
            remedy="self.layer = torch.nn.Linear(...)  # in __init__, not in forward",
        )
        return
    computed = computed_once(bench)
    if computed:
        yield never_learned(computed)
    elif foreign:
        yield Finding(
            ID,
            "warning",
            f"{len(foreign)} parameters outside the trainee's models get gradients and no "
            f"optimizer holds them.",
            evidence={"parameters": len(foreign), "shape of the first": list(foreign[0].shape)},
            location=first_use(seen, foreign),
            remedy="add them to the optimizer, or requires_grad_(False) if they are fixed",
        )

    if not computed:
        yield from _in_vain(bench, seen)


def _in_vain(bench: Bench, seen: Observation) -> Iterator[Finding]:
    for leaf in plain_leaves(bench, seen):
        yield Finding(
            ID,
            "error",
            f"Gradients arrive at {leaf.name} at every call, no optimizer holds it and nothing "
            f"reads its gradient: it requires one and never learns.",
            evidence={"calls": 2},
            location=leaf.location,
            remedy="self.w = torch.nn.Parameter(...)  # and in the optimizer; or "
            "requires_grad_(False) if it is fixed",
        )


def _registration(path: str) -> str:
    attribute = path.partition("[")[0].rpartition(".")[2]
    if "[" in path:
        return f"self.{attribute} = torch.nn.ModuleList(...)  # instead of a list"
    return f"self.{attribute} = torch.nn.Parameter(...)"
