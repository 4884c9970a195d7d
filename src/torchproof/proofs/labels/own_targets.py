"""Targets that a step makes of the very prediction it compares with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from torchproof.proofs.prediction.probe import undisturbed
from torchproof.proofs.step.losses_seen import OF_VALUES


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Operation

_COMPARED = OF_VALUES | {"sub", "rsub", "subtract"}


def own_target(bench: Bench, labels: torch.Tensor) -> Optional[str]:
    """Return the line that compares a prediction with a target made of it where labels would fit.

    The prediction has the shape of the labels, and the target comes from a model without a
    gradient; or the target of a loss of classes is the largest of its own logits. Only where the
    step calls the only model once: another call, or another model, may be a teacher. Empty if the
    line is not known, None if there is none.
    """
    if bench.reason_against("observation") or len(bench.trainee.models) > 1:
        return None
    if len(bench.once(undisturbed).calls) != 1:
        return None
    seen = bench.observation
    found = [
        each.location
        for each in seen.operations
        if labels.is_floating_point() and each.name in _COMPARED and _is_own(each, labels)
    ]
    found += [
        each.location
        for each in seen.losses
        if each.own_classes and not labels.is_floating_point()
        if each.own_classes in (labels.numel(), int((labels >= 0).sum()))
    ]
    return (found[0] or "") if found else None


def _is_own(operation: Operation, labels: torch.Tensor) -> bool:
    if operation.inside is not None or len(operation.operands) < len(("prediction", "target")):
        return False
    target, prediction = sorted(operation.operands[:2], key=lambda each: each.requires_grad)
    sizes = [[size for size in each.shape if size != 1] for each in (prediction, labels)]
    learned = prediction.requires_grad and not target.requires_grad
    return learned and target.source == "model" and sizes[0] == sizes[1]
