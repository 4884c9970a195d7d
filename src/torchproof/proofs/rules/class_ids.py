"""A class must have one number, in training and in predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

import torch

from torchproof.proofs.batches import another_row, parted, row_from
from torchproof.proofs.finding import Finding
from torchproof.proofs.prediction.assumed import predicted_from
from torchproof.proofs.prediction.pairing import aligned, label_changes
from torchproof.proofs.prediction.probe import probe, undisturbed
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.loss_calls import rounding
from torchproof.proofs.tensors.bits import distinct, elements_that_differ


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call

ID = "class-ids"
_PER_CLASS = len(("rows", "classes"))
# exp(-40) is far below the rounding of 1: a softmax is as sure as it can be.
_SURE = 40.0
_SIDES = 2
_REMEDY = "logits.argmax(1)  # and one table of classes, for the labels and for predictions"


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
    by logits that are sure of these classes; the integers that it returns, or the likeliest of the
    probabilities, have to be the labels.
    Where there is one logit for each of two labels, the sign of its gradient tells which way it is
    asked to go; ``predict`` must not return the other label everywhere. Where each place of a row
    (token, pixel) has a label of its own, and the loss asks for just this one, ``predict`` must not
    return another class for each label, always the same; a decoder may still correct some places.

    Assumes that integers of the labels' shape are classes. Skipped if ``predict`` returns none or
    others than the logits and the labels have, such as ids of a data set beside labels that count
    from 0, if no model is trained by cross-entropy on the labels of its rows, or if the step is not
    reproducible.
    """
    asked = _one_logit_each(bench)
    if asked is not None:
        yield from _turned_round(bench, *asked)
        return
    of_places = _classes_of_places(bench)
    if of_places is not None:
        yield from _exchanged(bench, *of_places)
        return
    labels = _labels(bench)
    call, gradient = _logits(bench, labels)
    sure = torch.zeros_like(gradient).scatter(1, gradient.argmin(1)[:, None], _SURE)
    found = _chosen(predicted_from(bench, call.path, sure), gradient)
    if found.is_floating_point() or found.shape != labels.shape:
        raise Skip("predict does not return one class for each label")
    if not _is_named_alike(found, labels, gradient.shape[1]):
        raise Skip("predict returns other numbers than those of the logits")
    if len(distinct(found)) == 1 and len(distinct(labels)) > 1:
        raise Skip("predict returns the same for all classes")
    wrong = (found != labels).nonzero().flatten().tolist()
    if not wrong:
        return
    _check_row(bench, call, wrong[0])
    yield _finding(bench, found, labels, _REMEDY)


def _is_named_alike(found: torch.Tensor, labels: torch.Tensor, classes: int) -> bool:
    """Tell whether places among the logits are returned, or just the names that the labels have."""
    places = int(found.min()) >= 0 and int(found.max()) < classes
    return places or torch.equal(distinct(found), distinct(labels))


def _chosen(found: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return the likeliest classes where probabilities of the logits' classes are predicted."""
    if not found.is_floating_point() or found.shape != logits.shape or bool((found < 0).any()):
        return found
    gaps = (found.sum(1) - 1).abs()
    return found.argmax(1) if float(gaps.max()) <= rounding(found.shape[1], found.dtype) else found


def _one_logit_each(bench: Bench) -> Optional[tuple[Call, torch.Tensor, torch.Tensor]]:
    """Return the call that gives one logit for each of two labels, its gradient and the labels."""
    labels = list(parted(bench.trainee).labels.values())
    if bench.trainee.predict is None or len(labels) != 1 or len(distinct(labels[0])) != _SIDES:
        return None
    high = (labels[0] == labels[0].max()).squeeze()
    for call in bench.once(undisturbed).judged:
        if call.gradient is None or call.gradient.squeeze().shape != high.shape:
            continue
        up, down = call.gradient.squeeze() < 0, call.gradient.squeeze() > 0
        ways = [(torch.equal(up, one) and torch.equal(down, ~one)) for one in (high, ~high)]
        if any(ways):
            return call, call.gradient, labels[0]
    return None


def _turned_round(
    bench: Bench, call: Call, gradient: torch.Tensor, labels: torch.Tensor
) -> Iterator[Finding]:
    sure = torch.where(gradient < 0, _SURE, -_SURE).to(gradient)
    found = predicted_from(bench, call.path, sure).squeeze().to(labels.dtype)
    labels = labels.squeeze()
    other = labels.min() + labels.max() - labels
    if found.shape != labels.shape or not torch.equal(found, other):
        return
    remedy = "(logit > 0).long()  # where the label 1 asks for a larger logit"
    yield _finding(bench, found, labels, remedy)


def _classes_of_places(bench: Bench) -> Optional[tuple[Call, torch.Tensor, int, torch.Tensor]]:
    """Return the call whose output is asked for the label of each place.

    Also the gradient at it with the classes last, the axis where they were, and the labels.
    """
    labels = list(parted(bench.trainee).labels.values())
    if bench.trainee.predict is None or len(labels) != 1 or labels[0].dtype != torch.long:
        return None
    for call in bench.once(undisturbed).judged if labels[0].dim() > 1 else []:
        for axis in (1, -1):
            if call.gradient is None or call.gradient.dim() != labels[0].dim() + 1:
                continue
            gradient = call.gradient.movedim(axis, -1)
            if gradient.shape[:-1] == labels[0].shape and _asks_for(gradient, labels[0]):
                return call, gradient, axis, labels[0]
    return None


def _asks_for(gradient: torch.Tensor, labels: torch.Tensor) -> bool:
    read = gradient.ne(0).any(-1)
    several = bool(read.any()) and gradient.shape[-1] > 1 and len(distinct(labels[read])) > 1
    one = (gradient < 0).sum(-1).eq(1) & (gradient.argmin(-1) == labels)
    return several and bool(one[read].all())


def _exchanged(
    bench: Bench, call: Call, gradient: torch.Tensor, axis: int, labels: torch.Tensor
) -> Iterator[Finding]:
    asked, classes = gradient.argmin(-1, keepdim=True), gradient.shape[-1]
    sure = torch.zeros_like(gradient).scatter(-1, asked, _SURE).movedim(-1, axis)
    found = predicted_from(bench, call.path, sure)
    if found.is_floating_point() or found.shape != labels.shape:
        raise Skip("predict does not return one class for each label")
    read = gradient.ne(0).any(-1)
    found, labels = found[read], labels[read]
    table = set(zip(labels.tolist(), found.tolist()))
    known = all(0 <= each < classes for _, each in table)
    if known and len(table) == len(distinct(labels)) and _other_names(table):
        yield _finding(bench, found, labels, _REMEDY)


def _other_names(table: set[tuple[int, int]]) -> bool:
    """Tell whether classes are exchanged with each other, or each is called by another's number."""
    wrong = [pair for pair in table if pair[0] != pair[1]]
    answers = len({answer for _, answer in table})
    return bool(wrong) and (answers == len(table) or (len(wrong) == len(table) and answers > 1))


def _finding(bench: Bench, found: torch.Tensor, labels: torch.Tensor, remedy: str) -> Finding:
    differ = found != labels
    first, second = found[differ][0].item(), labels[differ][0].item()
    count, total = int(differ.sum()), labels.numel()
    return Finding(
        ID,
        "error",
        f"For a model that gives exactly what the loss asks for, predict returns other classes "
        f"than the labels in {count} of {total} places: {first:g} instead of {second:g}.",
        evidence={"places that differ": count, "label": second},
        location=defined_at(bench.trainee.predict),
        remedy=remedy,
    )


def _labels(bench: Bench) -> torch.Tensor:
    labels = [each for each in parted(bench.trainee).labels.values() if each.dim() == 1]
    if bench.trainee.predict is None or len(labels) != 1 or labels[0].dtype != torch.long:
        raise Skip("Trainee(predict=...) is not given, or does not give one class for each row")
    return labels[0]


def _logits(bench: Bench, labels: torch.Tensor) -> tuple[Call, torch.Tensor]:
    """Return the call whose output the loss asks for the class of each row, and its gradient.

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
    if len(asked) != 1 or asked[0].gradient is None:
        raise Skip("no model gives logits of classes, one row for each label")
    return asked[0], asked[0].gradient


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


def _one_class_of_each_row(call: Call, labels: torch.Tensor) -> bool:
    """Tell whether the loss asks for one class of each row, the same for the same label."""
    gradient = call.gradient
    if gradient is None or gradient.dim() != _PER_CLASS or gradient.shape[1] == 1:
        return False
    if len(gradient) != len(labels) or not bool((gradient < 0).sum(1).eq(1).all()):
        return False
    pairs = set(zip(labels.tolist(), gradient.argmin(1).tolist()))
    return len(pairs) == len({label for label, _ in pairs})
