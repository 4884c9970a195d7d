"""What the model registers, what the optimizers hold and what gets gradients must agree."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Optional

import torch

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parameters.computed_once import computed_once, never_learned
from torchproof.proofs.parameters.deliberate import frozen_by_mode, idle_models, marked_untrained
from torchproof.proofs.parameters.dropped import results_dropped
from torchproof.proofs.parameters.forgotten_losses import forgotten
from torchproof.proofs.parameters.forgotten_models import forgotten_models
from torchproof.proofs.parameters.lost_terms import lost_terms
from torchproof.proofs.parameters.passing import made_anew
from torchproof.proofs.parameters.plain_leaves import plain_leaves
from torchproof.proofs.parameters.unreached import by_chance, told_apart
from torchproof.proofs.rule import rule
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import different


if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation

ID = "parameter-sets"


@rule(
    ID,
    summary="registered, optimised and reached parameters agree",
    source="discuss.pytorch.org/t/84911; accelerate #2665; PyTorch FAQ on optimizers",
    needs=("optimizer",),
    severity="error",
)
def parameter_sets(bench: Bench) -> Iterator[Finding]:
    """Every parameter that learns is registered, reached by a gradient and held by an optimizer.

    Decided on three sets, taken while the step runs: what the models register (M), what gets a
    gradient (R: leaves of the graphs that backward walks, accumulated gradients, gradients present
    at an optimizer's step) and what the optimizers hold (O).

    * in M and R, not in O: trainable and not trained (error), unless another hand moves it (EMA).
    * in R, not in M nor O: held by a module without registration (error), of a layer that a model
      makes at each call with other values (error), or foreign (warning).
    * in all three, but reached only through ``round``, ``sign``, ``floor``, ``ceil`` or ``trunc``:
      its gradient is 0 (error).
    * in M and O, not in R: its value is changed. If the loss changes too, the path from it to the
      loss is cut (error). If not, what is computed with it in a call of the step is followed: if no
      model returns any of it, no python number is made of it and nothing is kept, a result is
      dropped on the way (error); else nothing uses it (warning). The last of several layers may be
      dropped, as that of two streams of which one is read at the end (warning). An info for one of
      a list of modules, some of which get a gradient from another seed: experts, random depth.

    * a term of the loss is a number without a gradient although it changes with parameters: it is
      only added, and nothing that has a gradient shows its value elsewhere in the loss (error).
    * an attribute was computed while the model was built from a parameter that nobody holds, or a
      plain tensor stays, never changes and gets a gradient at each call that nothing reads (error).

    A warning instead of an error where somebody left it out on purpose: the module is in eval mode
    while the model trains, it is one of several models and wholly untrained, or ``trainable`` of
    the parameter is False. One of several models is an error all the same if a backward pass
    reaches nothing else and nothing reads its gradients, or if the prediction comes through it from
    what is trained and it is as the seed has drawn it. Parameters that match
    ``Trainee(frozen=...)`` are left out, as are those of optimizers that were not stepped (a GAN's
    other half), and those of a loss that nobody goes backward from (`missing-update`).

    Assumes that what gets a gradient is meant to learn. Skipped without a torch optimizer; cut and
    unused are not told apart (warning) if the step is not reproducible.
    """
    seen = bench.observation
    yield from _nothing_reached(seen)
    if not seen.fed:
        return
    yield from _not_trained(bench, seen)
    yield from _not_registered(bench, seen)
    yield from _flattened(seen)
    missed = list(_not_reached(bench, seen))
    yield from missed
    if not any(each.severity == "error" for each in missed):
        yield from _terms_without_gradient(bench)


def _nothing_reached(seen: Observation) -> Iterator[Finding]:
    if seen.steps and not seen.fed:
        yield Finding(
            ID,
            "error",
            "The optimizer steps, but no parameter ever has a gradient.",
            evidence={"optimizer steps": len(seen.steps), "backward passes": len(seen.backwards)},
            location=seen.steps[0].location,
            remedy="loss.backward()  # before optimizer.step()",
        )


def _not_trained(bench: Bench, seen: Observation) -> Iterator[Finding]:
    held = _held(seen)
    moved = set(different(seen.before, seen.after))
    names = [
        name
        for name, each in _trainable(seen).items()
        if id(each) in seen.fed and id(each) not in held and name not in moved
    ]
    foreign = len(held - {id(each) for each in parameters(seen.trial.trainee).values()})
    trains = any(key in seen.fed for key in held)
    idle = idle_models(seen, held) if trains and not foreign else ()
    missed = forgotten_models(bench, idle) if names else ()
    idle = tuple(f"{key}." for key in idle if key not in missed)
    marked = {name for name, each in _trainable(seen).items() if marked_untrained(each)}
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


def _not_registered(bench: Bench, seen: Observation) -> Iterator[Finding]:
    known = _held(seen) | {id(each) for each in parameters(seen.trial.trainee).values()}
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
            location=_first_use(seen, [seen.hidden[path] for path in paths]),
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
            location=_first_use(seen, anew),
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
            location=_first_use(seen, foreign),
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


def _flattened(seen: Observation) -> Iterator[Finding]:
    pushed = {key for update in seen.updates for key, move in update.moves.items() if move.elements}
    never = (seen.flat & _held(seen)) - seen.sloped - pushed
    named = _trainable(seen)
    flat = [name for name, each in named.items() if id(each) in never]
    if flat:
        yield Finding(
            ID,
            "error",
            f"The only way from {listed(flat)} to the loss leads through a step function, whose "
            f"gradient is 0 everywhere: they learn nothing.",
            evidence={"parameters": len(flat), "largest gradient": 0.0},
            location=_first_use(seen, [named[name] for name in flat]),
            remedy="z = z + (z.round() - z).detach()  # the gradient goes by, straight through",
        )


def _not_reached(bench: Bench, seen: Observation) -> Iterator[Finding]:
    stepped = {id(each) for step in seen.steps for each in _of(step.optimizer)}
    silent = {
        name: each
        for name, each in _trainable(seen).items()
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
            location=_first_use(seen, [silent[name] for name in cut]),
            remedy=f"remove the detach(), no_grad(), .data or .item() behind it, or "
            f"Trainee(frozen=({cut[0]!r},)) if it is meant",
        )
        return
    dropped = results_dropped(bench, unused, _used(seen))
    if dropped:
        yield Finding(
            ID,
            "error",
            f"What is computed with {listed(dropped)} is dropped: the step runs it, and nothing "
            f"reads the result.",
            evidence={"parameters": len(dropped), "calls followed": 1},
            location=_first_use(seen, [silent[name] for name in dropped]),
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


def _terms_without_gradient(bench: Bench) -> Iterator[Finding]:
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


def _trainable(seen: Observation) -> dict[str, torch.nn.Parameter]:
    trainee = seen.trial.trainee
    return {
        name: each
        for name, each in parameters(trainee).items()
        if each.requires_grad and not any(fnmatchcase(name, p) for p in trainee.frozen)
    }


def _used(seen: Observation) -> list[str]:
    return [name for name, each in _trainable(seen).items() if id(each) in seen.fed]


def _held(seen: Observation) -> set[int]:
    return {id(each) for optimizer in seen.optimizers for each in _of(optimizer)}


def _of(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [each for group in optimizer.param_groups for each in group["params"]]


def _first_use(seen: Observation, tensors: Sequence[torch.Tensor]) -> Optional[str]:
    lines = [seen.used.get(id(each)) for each in tensors]
    return next((line for line in lines if line), None)


def _registration(path: str) -> str:
    attribute = path.partition("[")[0].rpartition(".")[2]
    if "[" in path:
        return f"self.{attribute} = torch.nn.ModuleList(...)  # instead of a list"
    return f"self.{attribute} = torch.nn.Parameter(...)"
