"""Gradients must end in an update."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parameters.forgotten_losses import forgotten
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.step.step_calls import may_step_others
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import different


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.optim import Optimizer

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.parameters.forgotten_losses import Forgotten
    from torchproof.proofs.step.observation import Observation

ID = "missing-update"
# Longer than gradients are accumulated for, or a critic is trained alone, on one batch.
_CALLS = 40


@rule(
    ID,
    summary="the step computes gradients and an optimizer uses them",
    source="Humbatova et al., ICSE 2020 (missing API call); TrainCheck, OSDI 2025",
    needs=("observation",),
    severity="error",
)
def missing_update(bench: Bench) -> Iterator[Finding]:
    """A step that has an optimizer runs backward and steps the optimizer.

    Decided from what was seen: there is an optimizer, nothing stepped, and no parameter or buffer
    that it holds changed a bit. If there were backward passes, the step is called up to 40 times
    more, so that gradients may be accumulated; if there were none, nothing can come.

    An optimizer that steps and never finds a gradient in 40 calls, while others find some, is an
    error if the step computes a single number that depends on its parameters, with a graph, and no
    backward pass begins there or comes through: the other half's ``backward()`` is forgotten.

    An optimizer that waits while another one steps (a GAN's other half) is a warning. It is an
    error if the step clears its gradients by ``zero_grad()`` in every call, and if none of the
    functions that ran holds a call of ``.step`` that may come to it later: one behind a test of
    more than flags that nothing assigns to, behind an early return, or of a variable.

    Without a torch optimizer: an error if all that the step asks gradients for, in every call, are
    the models' own parameters, and if 40 calls change no bit of what the models register.

    Assumes that gradients are accumulated for at most 40 calls. Parameters that match
    ``Trainee(frozen=...)`` are left out. Skipped without a torch optimizer if the step asks for
    other gradients, or none, or if parameters change.
    """
    seen = bench.observation
    if bench.reason_against("optimizer"):
        yield from _by_hand(bench, seen)
        return
    if not seen.backwards and not seen.steps and not _moved(seen):
        yield _nothing(seen)
        return
    left = bench.once(forgotten)
    if left is not None:
        yield _no_backward(left)
    waiting = _waiting(seen)
    never = _never_stepped(bench, waiting) if waiting else []
    if not never:
        return
    severity = "warning" if seen.steps and not _thrown_away(seen, never) else "error"
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


def _by_hand(bench: Bench, seen: Observation) -> Iterator[Finding]:
    own = {id(each) for each in parameters(seen.trial.trainee).values()}
    passes = [each for each in seen.events if each.kind == "backward"]
    asked = {each.call for each in passes if each.touched and each.touched <= own}
    everywhere = len(asked) == len(seen.trial.losses)
    if _moved(seen) or not everywhere or not all(each.touched <= own for each in passes):
        raise Skip(bench.reason_against("optimizer"))
    with bench.trial() as trial:
        before = trial.state()
        for _ in range(_CALLS):
            trial.step()
        if different(before, trial.state()):
            return
    yield Finding(
        ID,
        "error",
        "The step computes gradients of the models' parameters, and no parameter ever changes.",
        evidence={"backward passes": len(passes), "calls tried": _CALLS, "optimizers": 0},
        location=seen.first_backward,
        remedy="with torch.no_grad(): p -= lr * gradient  # in place, not p = p - lr * gradient",
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


def _no_backward(left: Forgotten) -> Finding:
    return Finding(
        ID,
        "error",
        f"The optimizer of {listed(left.names)} steps and never finds a gradient: nobody goes "
        f"backward from the loss that depends on them.",
        evidence={"parameters": len(left.names), "calls tried": _CALLS},
        location=left.location,
        remedy="loss.backward()  # between zero_grad() and step() of this optimizer",
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
        if id(each) in held & seen.fed.keys() - stepped
        and name not in moved
        and not any(fnmatchcase(name, pattern) for pattern in seen.trial.trainee.frozen)
    ]


def _thrown_away(seen: Observation, names: list[str]) -> bool:
    """Tell whether gradients are cleared in each call and nothing may step their optimizer."""
    named = parameters(seen.trial.trainee)
    clears = [each for each in seen.events if each.kind == "clear"]
    for name in names:
        calls = {each.call for each in clears if id(named[name]) in each.touched}
        if len(calls) < len(seen.trial.losses):
            return False
    done = [each for each in seen.events if each.kind in ("update", "schedule")]
    stepped = {
        (each.location or "", id(each.facts.get("optimizer", each.facts.get("scheduler"))))
        for each in done
    }
    ran = {one for each in (*clears, *done) for one in each.facts.get("running", ())}
    return not may_step_others(ran, Counter(line for line, _ in stepped))


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
