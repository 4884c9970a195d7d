"""The labels must have a say in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import torch

from torchproof.proofs.batches import another_row, parted, reversed_rows
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.labels.own_targets import own_target
from torchproof.proofs.prediction.pairing import aligned, label_changes
from torchproof.proofs.prediction.probe import probe, undisturbed
from torchproof.proofs.rule import rule
from torchproof.proofs.step.losses_seen import OF_CLASSES, loss_line, losses_of_outputs
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import different, distinct


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.batches import Parted
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Probe
    from torchproof.proofs.step.observation import Operation

ID = "labels-used"


@rule(
    ID,
    summary="training depends on the labels",
    source="Karpathy, A Recipe for Training Neural Networks (2019); target made of the prediction",
    needs=("reproducible",),
    severity="error",
)
def labels_used(bench: Bench) -> Iterator[Finding]:
    """With other labels the step computes another loss or another gradient.

    Decided by overwriting the label of the first row, of the last row, and reversing the order of
    all labels (rows of classes that are all alike get their largest class everywhere): if each time
    the loss and every gradient at the models' outputs keep their bits, and with all labels reversed
    the step leaves the same parameters, they are not used. An error where the step gives a model's
    output to a loss function that would fit the labels in kind and shape, or compares what has
    their shape with a target that it made of the only call of the only model (of classes: the
    largest of the loss's own logits); so it is where this stands in for one of several labels,
    which is then reversed alone. Else a warning, as a self-supervised step may leave the labels in
    its batch alone.

    Assumes that what ``Trainee(target=...)`` names are labels. Skipped without labels, if all are
    alike, or if the step is not reproducible or does not run with other labels.
    """
    before = bench.once(undisturbed)
    whole = parted(bench.trainee)
    turned = _of_one_class(whole)
    if turned is None:
        if any(not _alike(before, change.probe) for change in bench.once(label_changes)):
            yield from _one_of_several(bench)
            return
        turned = _reversed(whole)
    if not _alike(before, probe(bench, turned)):
        return
    if different(*(_learned(bench, batch) for batch in (whole.batch, turned))):
        return
    labels = next(iter(whole.labels.values()))
    fitting = [each.location for each in losses_of_outputs(bench) if _would_fit(each, labels)]
    own = own_target(bench, labels)
    if not fitting and own is not None:
        fitting = [own or None]
    yield Finding(
        ID,
        "error" if fitting else "warning",
        f"The labels ({listed(list(whole.labels))}) are not used: with other labels the "
        f"step computes the same loss and the same gradients.",
        evidence={"experiments": 3, "change of the loss": 0.0, "loss": before.loss},
        location=fitting[0] if fitting else loss_line(bench),
        remedy='loss = loss_function(prediction, batch["y"]), or Trainee(target=None) if the step '
        "is meant to learn without labels",
    )


def _one_of_several(bench: Bench) -> Iterator[Finding]:
    """Judge, of several labels, those that a target made of the prediction stands in for."""
    whole = parted(bench.trainee)
    for name, each in whole.labels.items() if len(whole.labels) > 1 else ():
        own = own_target(bench, each)
        batches = whole.batch, _reversed(whole, only=name)
        if own is None or different(*(_learned(bench, batch) for batch in batches)):
            continue
        yield Finding(
            ID,
            "error",
            f"The label {name} is not used: the prediction that it fits is compared with a target "
            f"made of the prediction itself.",
            evidence={"experiments": 1, "labels": len(whole.labels)},
            location=own or None,
            remedy=f'loss_function(prediction, batch["y"]["{name}"])',
        )


def _of_one_class(whole: Parted) -> Any:
    """Return the batch with one class for all, if rows of several classes are alike; else None."""
    rows_differ = another_row(whole.labels, 0, whole.rows) is not None if whole.labels else True
    if rows_differ or any(each.is_floating_point() for each in whole.labels.values()):
        return None
    if all(len(distinct(each[each >= 0])) <= 1 for each in whole.labels.values()):
        return None
    return whole.change(lambda each: each.where(each < 0, each.max()), labels=True)


def _reversed(whole: Parted, only: Optional[str] = None) -> Any:
    return whole.change(reversed_rows(whole.rows), labels=True, only=only)


def _alike(before: Probe, after: Probe) -> bool:
    pairs = [
        (one.gradient, other.gradient)
        for one, other in aligned(before, after)
        if one.gradient is not None
    ]
    same = all(other is not None and torch.equal(one, other) for one, other in pairs)
    return same and before.loss == after.loss


def _learned(bench: Bench, batch: Any) -> dict[str, torch.Tensor]:
    """Return the parameters after a step on a batch."""
    with bench.trial() as trial:
        trial.trainee.batch = batch
        trial.step()
        return {name: each.detach().clone() for name, each in parameters(trial.trainee).items()}


def _would_fit(loss: Operation, labels: torch.Tensor) -> bool:
    """Tell whether a loss of a model's output could have taken the labels."""
    output = next(each for each in loss.operands if each.is_output)
    if loss.name in OF_CLASSES and not labels.is_floating_point():
        classes = output.shape[1] if len(output.shape) > 1 else 0
        return int(labels.max()) < classes and len(output.shape) == labels.dim() + 1
    squeezed = [[size for size in each if size != 1] for each in (output.shape, labels.shape)]
    return squeezed[0] == squeezed[1]
