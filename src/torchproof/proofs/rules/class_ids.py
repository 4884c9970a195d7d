"""A class must have one number, in training and in predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import torch

from torchproof.proofs.batches import another_row, parted, row_from
from torchproof.proofs.bits import elements_that_differ
from torchproof.proofs.finding import Finding
from torchproof.proofs.pairing import aligned, label_changes
from torchproof.proofs.places import defined_at
from torchproof.proofs.probe import module_at, probe, substituted, undisturbed
from torchproof.proofs.replacement import predicted, restored
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.trees import main_output


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.probe import Call

ID = "class-ids"
_PER_CLASS = len(("rows", "classes"))
# exp(-40) is far below the rounding of 1: a softmax is as sure as it can be.
_SURE = 40.0


@rule(
    ID,
    summary="predict returns the label of what the loss asks for",
    source="argmin for argmax; label maps of training and serving that differ",
    needs=("predict", "reproducible"),
    severity="error",
)
def class_ids(bench: Bench) -> Iterator[Finding]:
    """Where a model gives exactly what the loss asks for, ``predict`` returns the labels.

    Decided without training: the gradient of cross-entropy at a logit is negative at one class of
    each row only, the one that is asked for. ``predict`` runs while the model's output is replaced
    by logits that are sure of these classes; the integers that it returns have to be the labels.

    Assumes that integers of the labels' shape are classes. Skipped if ``predict`` returns none or
    others than the logits have, such as a data set's own ids, if no model is trained by
    cross-entropy on the labels of its rows, or if the step is not reproducible.
    """
    labels = _labels(bench)
    call = _logits(bench, labels)
    found = _returned(bench, call)
    if found.is_floating_point() or found.shape != labels.shape:
        raise Skip("predict does not return one class for each label")
    if int(found.min()) < 0 or int(found.max()) >= _classes(call):
        raise Skip("predict returns other numbers than those of the logits")
    wrong = (found != labels).nonzero().flatten().tolist()
    if not wrong:
        return
    row = wrong[0]
    _check_row(bench, call, row)
    yield Finding(
        ID,
        "error",
        f"For a model that gives exactly what the loss asks for, predict returns other classes "
        f"than the labels in {len(wrong)} of {len(labels)} rows: {int(found[row])} instead of "
        f"{int(labels[row])}.",
        evidence={"rows that differ": len(wrong), "label": int(labels[row])},
        location=defined_at(bench.trainee.predict),
        remedy="logits.argmax(1)  # and one table of classes, for the labels and for predictions",
    )


def _labels(bench: Bench) -> torch.Tensor:
    labels = [each for each in parted(bench.trainee).labels.values() if each.dim() == 1]
    if bench.trainee.predict is None or len(labels) != 1 or labels[0].dtype != torch.long:
        raise Skip("no predict of ones own, or not one class for each row")
    return labels[0]


def _logits(bench: Bench, labels: torch.Tensor) -> Call:
    """Return the call whose output the loss asks for the class of each row.

    Raises:
        Skip: There is none, or there are several.
    """
    told = bench.once(label_changes)
    asked = [
        call
        for index, call in enumerate(bench.once(undisturbed).calls)
        if all(_rows(change.told.get(index)) == [change.row] for change in told)
        if _one_class_of_each_row(call, labels)
    ]
    if len(asked) != 1:
        raise Skip("no model gives logits of classes, one row for each label")
    return asked[0]


def _check_row(bench: Bench, call: Call, row: int) -> None:
    """Check that the label of a row is compared with the output for this row.

    Raises:
        Skip: The step has put the rows into another order.
    """
    whole, before = parted(bench.trainee), bench.once(undisturbed)
    other = another_row(whole.labels, row, whole.rows) or 0
    change = whole.change(row_from(row, other, whole.rows), labels=True)
    pairs = aligned(before, probe(bench, change, held=before))
    one, two = next((pair[0].gradient, pair[1].gradient) for pair in pairs if pair[0] is call)
    if one is None or two is None or _rows(elements_that_differ(one, two)) != [row]:
        raise Skip("the step puts the rows into another order")


def _rows(changed: Optional[torch.Tensor]) -> list[int]:
    """Return the rows in which something changed."""
    if changed is None or changed.dim() != _PER_CLASS:
        return []
    rows: list[int] = changed.any(1).nonzero().flatten().tolist()
    return rows


def _classes(call: Call) -> int:
    """Return how many logits a row has."""
    return 0 if call.gradient is None else call.gradient.shape[1]


def _one_class_of_each_row(call: Call, labels: torch.Tensor) -> bool:
    """Tell whether the loss asks for one class of each row, the same for the same label."""
    gradient = call.gradient
    if gradient is None or gradient.dim() != _PER_CLASS or gradient.shape[1] == 1:
        return False
    if len(gradient) != len(labels) or not bool((gradient < 0).sum(1).eq(1).all()):
        return False
    pairs = set(zip(labels.tolist(), gradient.argmin(1).tolist()))
    return len(pairs) == len({label for label, _ in pairs})


def _returned(bench: Bench, call: Call) -> torch.Tensor:
    """Predict while the model's output is what the loss asks for."""
    replaced = []

    def answer(_: Any, __: Any, output: Any) -> Any:
        sure = _sure(call, main_output(output))
        fresh = None if sure is None else substituted(output, main_output(output), sure)
        replaced.append(fresh is not None)
        return fresh

    with restored(bench) as trial:
        handle = module_at(trial.trainee, call.path).register_forward_hook(answer)
        try:
            found = predicted(bench, trial)
        finally:
            handle.remove()
    if replaced != [True]:
        raise Skip("predict does not call the model once, as the step does")
    return found


def _sure(call: Call, output: Optional[torch.Tensor]) -> Optional[torch.Tensor]:
    if call.gradient is None or output is None or output.shape != call.gradient.shape:
        return None
    classes = call.gradient.argmin(1)
    return torch.zeros_like(output).scatter(1, classes[:, None], _SURE)
