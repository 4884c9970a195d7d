"""Gradients of one update must not reach the next."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import different, not_finite


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.optim import Optimizer

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation
    from torchproof.proofs.step.trial import Trial

ID = "stale-gradients"


@rule(
    ID,
    summary="no gradient of one update reaches the next one",
    source="stackoverflow.com/q/60335387 (zero_grad forgotten); TrainCheck, OSDI 2025",
    needs=("updates",),
    severity="error",
)
def stale_gradients(bench: Bench) -> Iterator[Finding]:
    """Gradients are cleared between an optimizer's step and the next backward pass.

    Decided by an experiment: behind every ``optimizer.step()`` each gradient it used is overwritten
    with NaN. Right code clears them before they are added to, so that its parameters come out as
    in the undisturbed run; a NaN that gets through ends in a parameter, stops a GradScaler from
    updating, or changes the result. Parameters are judged, not gradients, as closures (LBFGS,
    SAM) clear inside the step.

    Assumes that nothing but an update reads gradients after ``optimizer.step()``.
    Skipped if fewer than two optimizer steps were seen, if parameters are not finite anyway, or if
    the step itself writes to gradients behind their update and keeps them (they decay, or are
    cleared by a product with 0, which NaN survives).
    """
    if not_finite(bench.reference.state):
        raise Skip("parameters become NaN or infinite without any intervention")
    if not bench.reason_against("observation") and _kept(bench.observation):
        raise Skip("the step changes its gradients behind the update and keeps them")
    calls = len(bench.reference.losses)
    with bench.trial() as trial, _poisoned(trial) as log:
        failed = _run(trial, calls)
        state, losses = trial.state(), trial.losses
    spoilt = not_finite(state)
    reproducible = not bench.reason_against("reproducible")
    changed = different(bench.reference.state, state) if reproducible and not failed else []
    if failed and not spoilt:
        raise Skip(f"the step fails when it finds its last gradients replaced by NaN ({failed})")
    if not spoilt and not changed and len(log["steps"]) >= bench.reference.updates:
        return
    names = log["stale"] or spoilt or changed or list(parameters(trial.trainee))
    yield Finding(
        ID,
        "error",
        f"The gradient of the last update is still there when the next one is computed: "
        f"{listed(names)}.",
        evidence={
            "stale gradients": len(log["stale"]),
            "parameters that NaN reached": len(spoilt),
            "parameters that changed": len(changed),
            "optimizer steps": f"{len(log['steps'])} of {bench.reference.updates}",
            "calls": len(losses),
        },
        location=None if bench.reason_against("observation") else bench.observation.first_backward,
        remedy="optimizer.zero_grad()  # for all its parameters, before loss.backward()",
    )


@contextmanager
def _poisoned(trial: Trial) -> Iterator[dict[str, list[Any]]]:
    """Put NaN into every gradient behind the step that used it; log steps and first stale names."""
    log: dict[str, list[Any]] = {"steps": [], "stale": []}
    inside: list[Any] = []  # an optimizer may wrap another (SAM, Lookahead); the outer one is meant
    names = {id(each): name for name, each in parameters(trial.trainee).items()}

    def before(optimizer: Optimizer) -> None:
        inside.append(optimizer)
        if not log["stale"]:
            held = [each for each in _held(optimizer) if _has_nan(each)]
            log["stale"] = [names.get(id(each), "a tensor outside the model") for each in held]

    def after(optimizer: Optimizer) -> None:
        log["steps"].append(None)
        inside.pop()
        if inside:
            return
        for parameter in _held(optimizer):
            # .data: a graph that still holds the gradient must not notice (version counter).
            parameter.grad.data.mul_(float("nan"))

    with optimizer_hooks(before=before, after=after):
        yield log


def _kept(seen: Observation) -> bool:
    return any(not each.lost for each in seen.rewrites)


def _held(optimizer: Optimizer) -> list[Any]:
    return [each for each in held_by([optimizer]) if each.grad is not None]


def _has_nan(parameter: Any) -> bool:
    gradient = parameter.grad
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    return bool(torch.isnan(values).any())


def _run(trial: Trial, calls: int) -> str:
    """Run the step; return what it failed with, as the intervention may be the reason."""
    try:
        for _ in range(calls):
            trial.step()
    except Exception as error:  # noqa: BLE001 - whatever the user's step does with a NaN
        return f"{type(error).__name__}: {error}"
    return ""
