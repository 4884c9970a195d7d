"""The inference service must predict what was trained."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Optional

import torch

from torchproof.proofs.finding import Finding
from torchproof.proofs.prediction.probe import Probe, undisturbed, watch
from torchproof.proofs.prediction.replacement import about, doubled, persists, restored, widen
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.inference import Arguments, call_in_eval
from torchproof.proofs.tensors.bits import distance, same


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial

ID = "serving-parity"


@rule(
    ID,
    summary="the model as the service builds it predicts what the trained one predicts",
    source="training-serving skew: Google, Rules of Machine Learning, rule 37",
    needs=("reproducible",),
    severity="error",
)
def serving_parity(bench: Bench) -> Iterator[Finding]:
    """The trained weights load into the module of ``Trainee(serve=...)``, which says the same.

    Decided by loading the trained ``state_dict`` strictly into a fresh ``serve()`` and calling both
    in eval mode with what ``predict`` (or else the step) gives the model: every bit has to agree.
    If one does not, it is repeated in float64, as another implementation may round differently.

    Assumes that the service's module is called as the trained one. Skipped without ``serve``, if
    the module cannot be called so, if several models are trained and none has the served names, if
    float64 is needed and cannot be used, or if the step is not reproducible.
    """
    if bench.trainee.serve is None:
        raise Skip("Trainee(serve=...) does not say how the service builds the model")
    refusal = _refusal(bench)
    if refusal:
        yield _finding(
            bench, f"The trained weights do not load into the served model: {refusal}.", {}
        )
        return
    gap = _gap(bench)
    if gap and persists(gap, partial(_gap, bench, double=True)):
        what = f"The served model predicts something else than the trained one: by {gap:.3g}."
        yield _finding(bench, what, {"largest difference": gap})


def _finding(bench: Bench, what: str, evidence: dict[str, float]) -> Finding:
    return Finding(
        ID,
        "error",
        what,
        evidence=evidence,
        location=defined_at(bench.trainee.serve),
        remedy="serve = make_model  # one function builds the model for training and for serving",
    )


def _refusal(bench: Bench) -> str:
    """Load the trained weights into the served model; return why they do not load."""
    with restored(bench) as trial:
        try:
            _served(trial).load_state_dict(_model(trial)[1].state_dict())
        except RuntimeError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            return " ".join(lines[1:3] or lines).rstrip(".")
    return ""


def _gap(bench: Bench, *, double: bool = False) -> float:
    with restored(bench) as trial:
        key, model = _model(trial)
        served = _served(trial)
        served.load_state_dict(model.state_dict())
        given = _arguments(bench, trial, key)
        if double:
            given, served = widen(trial, given), doubled(served)
        outputs = []
        for module in (model, served):
            with fix_seed(bench.seed):
                outputs.append(about(call_in_eval(module, given)))
    return 0.0 if same(*outputs) else distance(*outputs)


def _served(trial: Trial) -> torch.nn.Module:
    if trial.trainee.serve is None:
        raise AssertionError
    served = trial.trainee.serve()
    if not isinstance(served, torch.nn.Module):
        raise Skip(f"serve returns a {type(served).__name__}, not a torch.nn.Module")
    return served


def _model(trial: Trial) -> tuple[str, torch.nn.Module]:
    """Return the model that is served, with its key: the only one, or the one of the same names."""
    models = list(trial.trainee.models.items())
    names = set(_served(trial).state_dict())
    alike = [(key, model) for key, model in models if set(model.state_dict()) == names]
    if len(models) > 1 and len(alike) != 1:
        raise Skip("there are several models, and not one of them has the names of the served one")
    return models[0] if len(models) == 1 else alike[0]


def _arguments(bench: Bench, trial: Trial, key: str) -> Arguments:
    """Return what the model is called with when predicting, or else in the step."""
    if trial.trainee.predict is not None:
        with watch(trial.trainee) as calls:
            trial.predict()
        found = _first(calls, key)
        if found is not None:
            return found
    found = _first(bench.once(undisturbed), key)
    if found is None:
        raise Skip("neither predict nor the step calls the model itself")
    return found


def _first(probe: Probe, key: str) -> Optional[Arguments]:
    return next((call.arguments for call in probe.calls if call.path == key), None)
