"""Every gradient must be a number."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Optional

import torch

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.process.places import place
from torchproof.proofs.process.warned import warned
from torchproof.proofs.rule import rule
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import not_finite


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.process.warned import Warned
    from torchproof.proofs.step.events import Event
    from torchproof.proofs.step.observation import Observation

ID = "finite-gradients"


@rule(
    ID,
    summary="no gradient is NaN or infinite, not even one that is masked later",
    source="pytorch #6394 (the gradient of sqrt at 0); torch.autograd.detect_anomaly",
    needs=("observation",),
    severity="error",
)
def finite_gradients(bench: Bench) -> Iterator[Finding]:
    """Gradients are finite when they arrive at the parameters.

    Decided by looking at each gradient as backward delivers it, before ``nan_to_num``, clipping or
    a guard can hide it; where hooks stand on parameters, in the first call without these too. If
    one is NaN, the step runs once more under anomaly detection to name the operation and its line.

    Assumes nothing. Gradients that a GradScaler has scaled are passed over, as an overflow is how
    it finds its scale. Skipped if the step cannot be watched.
    """
    seen = bench.observation
    bad = [each for each in seen.events if each.kind == "backward" and _spoilt(each)]
    if bad:
        ids = bad[0].facts["not finite"]
        names = [name for name, each in parameters(seen.trial.trainee).items() if id(each) in ids]
        yield _finding(bench, names, bad[0], f"{len(bad)} of {len(seen.backwards)}")
        return
    hidden = _hidden_by_hooks(bench)
    passes = [each for each in seen.events if each.kind == "backward"]
    if hidden and passes and all(each.facts["scale"] == 1.0 for each in passes):
        yield _finding(bench, hidden, passes[0], "hidden by hooks on parameters")


def _finding(bench: Bench, names: list[str], first: Event, passes: str) -> Finding:
    culprit, line = _culprit(bench)
    what = f", made by the backward of {culprit}" if culprit else ""
    return Finding(
        ID,
        "error",
        f"The gradients of {listed(names) or 'the loss'} are not finite{what}.",
        evidence={
            "parameters": len(names),
            "first call": first.call,
            "loss": _loss(bench.observation, first.call),
            "backward passes with it": passes,
        },
        location=line or first.location,
        remedy="make the input of the operation safe, not its result: (x + eps).sqrt(), "
        "x.clamp_min(eps).log(), torch.where on the input",
    )


def _hidden_by_hooks(bench: Bench) -> list[str]:
    """Name the parameters that have a gradient which is not finite once their hooks are gone."""
    found: list[str] = []
    with bench.trial() as trial:
        hooks: dict[str, Any] = {
            name: each._backward_hooks  # noqa: SLF001 - torch has no public name for it
            for name, each in parameters(trial.trainee).items()
        }
        hooked = [name for name, each in hooks.items() if each]

        def look(_: torch.optim.Optimizer) -> None:
            grads = {name: parameters(trial.trainee)[name].grad for name in hooked}
            kept = {name: each for name, each in grads.items() if each is not None}
            found.extend(not_finite(kept))

        for name in hooked:
            hooks[name].clear()
        if hooked:
            with optimizer_hooks(before=look), suppress(Exception):  # it may need its hooks
                trial.step()
    return list(dict.fromkeys(found))


def _spoilt(event: Event) -> bool:
    root = event.facts["root"]
    infinite = root is not None and not math.isfinite(root)
    return event.facts["scale"] == 1.0 and bool(event.facts["not finite"] or infinite)


def _loss(seen: Observation, call: int) -> float:
    return seen.trial.losses[call] if call < len(seen.trial.losses) else math.nan


def _culprit(bench: Bench) -> tuple[str, Optional[str]]:
    """Return the operation whose backward makes the NaN and the user's line that called it."""
    with bench.trial() as trial, warned() as heard:
        torch.autograd.set_detect_anomaly(True)
        try:
            for _ in bench.reference.losses:
                trial.step()
        except RuntimeError as error:
            found = re.search(r"Function '(\w+?)Backward\w*'", str(error))
            return (found.group(1) if found else ""), _forward_line(heard)
    return "", None


def _forward_line(heard: list[Warned]) -> Optional[str]:
    """Read the innermost line of the user's from the traceback that torch gives as a warning."""
    text = "".join(each.text for each in heard)
    lines = re.findall(r'File "([^"]+)", line (\d+)', text)
    return next((place(path, int(row)) for path, row in reversed(lines) if _users(path)), None)


def _users(path: str) -> bool:
    return "site-packages" not in path and "torchproof/proofs" not in path
