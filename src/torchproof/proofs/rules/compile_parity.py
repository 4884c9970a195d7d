"""Compiled code must compute what the code says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

import torch

from torchproof.proofs.finding import Finding
from torchproof.proofs.prediction.promoted import SHRINKS
from torchproof.proofs.prediction.replacement import Unrounded, predict_inputs, predicted, widen
from torchproof.proofs.prediction.scripted import Parted, parted_from_its_code
from torchproof.proofs.process.compiled import compiled_part
from torchproof.proofs.process.drawings import drawings
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.trial import largest_eps
from torchproof.proofs.tensors.bits import distance


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.process.compiled import Compiled

ID = "compile-parity"
_REMEDY_COMPILED = (
    "torch.compile(model, fullgraph=True)  # shows what is not compiled as it is; "
    "TORCH_LOGS=recompiles"
)
_REMEDY_SCRIPTED = (
    "torch.jit.script(model), or torch.where in place of if: a trace keeps one branch"
)


@rule(
    ID,
    summary="a compiled model trains as the same model does without torch.compile",
    source="pytorch #115607 (compiled and eager results differ)",
    needs=("reproducible",),
    severity="error",
)
def compile_parity(bench: Bench) -> Iterator[Finding]:
    """The losses of the compiled step are those of the eager one, but for rounding.

    Decided where a model is compiled, or a function that the step refers to, by running the step
    compiled: all other rules see it run as it is written. A third run, in float64, stands for the
    true losses. Compiled code orders its operations otherwise and may round otherwise; it is an
    error if a loss lies 2**14 times farther from the true one than rounding puts it: that of any
    loss of the eager run, or that of one operation, whichever is more. What ``predict`` gives with
    fresh weights is compared in the same way, by the largest number of the prediction.

    A module that ``torch.jit`` has traced or scripted is judged where ``predict`` calls it and the
    model of its class and its very parameters is known: that is called in evaluation mode with the
    same arguments. An error if the outputs lie 2**14 roundings of the largest apart: a trace keeps
    the branch that one example took.

    Assumes that nothing is meant to behave otherwise when it is compiled. Skipped without a
    compiled or scripted model, before torch 2.6, if the step draws random numbers, which compiled
    code draws otherwise, if it cannot be run in float64, or if the step is not reproducible.
    """
    scripted = parted_from_its_code(bench) if bench.trainee.predict is not None else []
    apart = next((one for one in scripted if one.is_beyond_rounding), None)
    if apart is not None:
        yield _predicts_otherwise(bench, apart, "Scripted", _REMEDY_SCRIPTED)
    if scripted:
        return
    compiled = compiled_part(bench.trainee)
    if compiled is None:
        raise Skip("no model is compiled")
    if not hasattr(torch.compiler, "set_stance"):
        raise Skip("before torch 2.6 compilation cannot be switched off")
    eager, true = bench.reference.losses, _true_losses(bench)
    rounding = max(largest_eps(bench.trainee, default=0.0), *map(_relative, eager, true))
    for call, (given, plain, exact) in enumerate(zip(_compiled_losses(bench), eager, true)):
        if _relative(given, exact) * SHRINKS > rounding:
            yield Finding(
                ID,
                "error",
                f"Compiled, {_name(compiled)} has another loss: {given:.6g} in place of "
                f"{plain:.6g} in call {call + 1} of the step.",
                evidence={"compiled": given, "eager": plain, "eager in float64": exact},
                location=_written_at(compiled),
                remedy=_REMEDY_COMPILED,
            )
            return
    apart = _predictions(bench, compiled) if bench.trainee.predict is not None else None
    if apart is not None and apart.is_beyond_rounding:
        yield _predicts_otherwise(bench, apart, "Compiled", _REMEDY_COMPILED)


def _predicts_otherwise(bench: Bench, apart: Parted, how: str, remedy: str) -> Finding:
    return Finding(
        ID,
        "error",
        f"{how}, {_name(apart.code)} predicts something else than its code: its output changed by "
        f"{apart.gap:.3g}.",
        evidence={"largest change": apart.gap, "largest output": apart.size},
        location=_written_at(apart.code) or defined_at(bench.trainee.predict),
        remedy=remedy,
    )


def _written_at(code: Compiled) -> Optional[str]:
    return defined_at(getattr(type(code), "forward", code))


def _predictions(bench: Bench, compiled: Compiled) -> Optional[Parted]:
    """Predict with fresh weights, compiled, as written, and in float64; None for class ids."""
    with bench.trial(compiled=True) as trial:
        given = predicted(bench, trial)
    with bench.trial() as trial, drawings() as drawn:
        plain = predicted(bench, trial)
    if any(each.moved for each in drawn):
        raise Skip("the prediction draws random numbers, which compiled code draws otherwise")
    if given.shape != plain.shape or not plain.is_floating_point():
        return None
    with bench.trial() as trial, Unrounded():
        exact = predicted(bench, trial, widen(trial, predict_inputs(bench)))
    size = float(exact.abs().max())
    rounding = largest_eps(bench.trainee, default=torch.finfo(plain.dtype).eps)
    own = distance(plain.double(), exact.double()) / size if size else 0.0
    gap = distance(given.double(), exact.double())
    return Parted(compiled, gap, size, max(rounding, own))


def _name(compiled: Compiled) -> str:
    return str(getattr(compiled, "__name__", type(compiled).__name__))


def _relative(value: float, exact: float) -> float:
    return abs(value - exact) / abs(exact) if exact else 0.0


def _compiled_losses(bench: Bench) -> list[float]:
    with bench.trial(compiled=True) as trial:
        return [trial.step() for _ in bench.reference.losses]


def _true_losses(bench: Bench) -> list[float]:
    """Run the step as the reference run does, in float64."""
    with bench.trial() as trial, drawings() as drawn:
        trial.trainee.batch = widen(trial, trial.trainee.batch)
        losses = [trial.step() for _ in bench.reference.losses]
    if any(each.moved for each in drawn):
        raise Skip("the step draws random numbers, which compiled code draws otherwise")
    return losses
