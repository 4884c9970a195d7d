"""Evaluating must leave no trace in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.process.seeds import kept_random_state
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.attributes import kept, plain_attributes, unlike
from torchproof.proofs.tensors.bits import different, distance


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial
    from torchproof.proofs.trainee import Trainee

ID = "evaluation-is-a-no-op"


@rule(
    ID,
    summary="training goes on as if no evaluation had happened",
    source="Megatron-LM #411 (dropout off for ever); pytorch_stacked_hourglass #44 (batch norm)",
    needs=("reproducible",),
    severity="error",
)
def evaluation_is_a_no_op(bench: Bench) -> Iterator[Finding]:
    """Training with evaluations in between gives the same bits as training without.

    Decided by running the step three times from the same seed with ``predict`` (and ``evaluate``)
    before each call but the first: every loss, parameter and buffer has to equal the undisturbed
    run's. The random state is put back around the evaluation, as drawing numbers is its right.
    Finds batch-norm statistics that see validation data, ``train()`` not restored, hidden state
    carried over, gradients or weights touched.

    Assumes nothing. Skipped if the step is not reproducible from its seed, or if nothing can be
    predicted and there is no ``evaluate``.
    """
    unpredictable = bench.reason_against("predict")
    if unpredictable and bench.trainee.evaluate is None:
        raise Skip(unpredictable)
    with bench.trial() as trial:
        changes, failure = _train_and_evaluate(
            trial, len(bench.reference.losses), predict=not unpredictable
        )
        state, losses = trial.state(), trial.losses
    names = different(bench.reference.state, state)
    if not failure and not names and not bench.differs(losses):
        return
    gaps = [distance(bench.reference.state[name], state[name]) for name in names if name in state]
    yield Finding(
        ID,
        "error",
        _sentence(changes, names, failure),
        evidence={
            "tensors that differ": len(names),
            "largest difference": max(gaps, default=0.0),
            **{name: listed(values) for name, values in changes.items() if values},
        },
        location=defined_at(trial.trainee.predict or trial.trainee.evaluate),
        remedy=_remedy(changes),
    )


def _train_and_evaluate(
    trial: Trial, calls: int, *, predict: bool
) -> tuple[dict[str, list[str]], str]:
    """Run the step with evaluations in between; return what one changed, and a failure."""
    changes: dict[str, list[str]] = {}
    trial.step()
    for _ in range(calls - 1):
        before = _facts(trial)
        with kept_random_state():
            if predict:
                trial.predict()
            trial.evaluate()
        found = _changes(before, _facts(trial))
        try:
            trial.step()
        except Exception as error:  # noqa: BLE001 - the same step runs without the evaluation
            return changes or found, f"{type(error).__name__}: {error}"
        if _modes(trial.trainee) == before["mode"]:
            found.pop("left in another mode", None)
        changes = changes or found
    return changes, ""


def _facts(trial: Trial) -> dict[str, dict[str, Any]]:
    return {
        "mode": _modes(trial.trainee),
        "attributes": _attributes(trial.trainee),
        "state": trial.state(),
        "gradients": _gradients(trial.trainee),
    }


def _modes(trainee: Trainee) -> dict[str, bool]:
    return {
        f"{key}.{name}".strip(".") or type(model).__name__: module.training
        for key, model in trainee.models.items()
        for name, module in model.named_modules()
    }


def _attributes(trainee: Trainee) -> dict[str, Any]:
    return {
        ".".join(filter(None, (key, path, name))): value
        for key, model in trainee.models.items()
        for path, module in model.named_modules()
        for name, value in kept(plain_attributes(module)).items()
    }


def _gradients(trainee: Trainee) -> dict[str, torch.Tensor]:
    held = {name: each.grad for name, each in parameters(trainee).items()}
    return {name: grad.detach().clone() for name, grad in held.items() if grad is not None}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[str]]:
    modes = [name for name, mode in before["mode"].items() if after["mode"].get(name) != mode]
    common = {
        name: grad for name, grad in after["gradients"].items() if name in before["gradients"]
    }
    changes = {
        "left in another mode": modes,
        "state changed": different(before["state"], after["state"]),
        "attributes changed": unlike(before["attributes"], after["attributes"]),
        "gradients changed": different({**after["gradients"], **before["gradients"]}, common),
    }
    return {name: names for name, names in changes.items() if names}


def _sentence(changes: dict[str, list[str]], names: list[str], failure: str) -> str:
    if failure:
        return f"After an evaluation the training step fails: {failure}."
    if changes.get("state changed"):
        return (
            f"Evaluating changes {listed(changes['state changed'])}, and training goes on with it."
        )
    if changes.get("left in another mode"):
        what = listed(changes["left in another mode"])
        return f"Evaluating leaves {what} in another mode, and training goes on in it."
    if changes.get("attributes changed"):
        what = listed(changes["attributes changed"])
        return f"Evaluating changes the attribute {what}, and training goes on with it."
    if changes.get("gradients changed"):
        what = listed(changes["gradients changed"])
        return f"Evaluating changes the gradients of {what}, and the next update uses them."
    where = listed(names) or "the loss"
    return f"Training goes another way after an evaluation: {where} no longer agree."


def _remedy(changes: dict[str, list[str]]) -> str:
    if changes.get("left in another mode") and not changes.get("state changed"):
        return "model.train()  # at the start of every training step"
    if changes.get("gradients changed"):
        return "with torch.no_grad(): ...  # around the evaluation; no backward() in it"
    return "model.eval()  # before predicting; keep no state between calls in attributes"
