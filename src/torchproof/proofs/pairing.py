"""Which predictions an input changes, and which predictions a label is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

import torch

from torchproof.proofs.batches import Parted, another_row, parted, row_from
from torchproof.proofs.bits import elements_that_differ
from torchproof.proofs.inference import call_in_eval
from torchproof.proofs.probe import Call, Probe, module_at, probe, undisturbed
from torchproof.proofs.replacement import restored
from torchproof.proofs.rule import Skip
from torchproof.proofs.trees import main_output


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.inference import Arguments
    from torchproof.proofs.trial import Trial

Mask = torch.Tensor


@dataclass(frozen=True)
class LabelChange:
    """One row's label was overwritten by another's while the outputs were held.

    ``elements`` counts the labels that changed; ``told`` holds, by the call's index, the elements
    of its output for which the gradient of the loss changed.
    """

    row: int
    elements: int
    probe: Probe
    told: dict[int, Mask]


def label_changes(bench: Bench) -> list[LabelChange]:
    """Change the label of the first row, then that of the last.

    Raises:
        Skip: The batch has no labels, they are all alike, or the step does not run on others.
    """
    whole = parted(bench.trainee)
    _check(whole)
    before = bench.once(undisturbed)
    if not before.judged:
        raise Skip("no gradient of the loss arrives at the output of a model that the step calls")
    return [
        _label_change(bench, whole, row, before)
        for row in (0, whole.rows - 1)
        if another_row(whole.labels, row, whole.rows) is not None
    ]


def input_changes(bench: Bench) -> dict[int, dict[int, Mask]]:
    """Change the inputs of the first row, then of the last; return what it changes in eval mode.

    By row and the call's index: the elements of the call's output that change.

    Raises:
        Skip: The step calls the models otherwise for other inputs.
    """
    whole = parted(bench.trainee)
    before = bench.once(undisturbed)
    others = {row: another_row(whole.inputs, row, whole.rows) for row in (0, whole.rows - 1)}
    probes = {
        row: probe(bench, whole.change(row_from(row, other, whole.rows), labels=False))
        for row, other in others.items()
        if other is not None
    }
    with restored(bench) as trial:
        return {row: _reached(trial, before, after) for row, after in probes.items()}


def _check(whole: Parted) -> None:
    if not whole.labels:
        raise Skip("the batch has no labels; Trainee(target=...) names them")
    if another_row(whole.labels, 0, whole.rows) is None:
        raise Skip("all rows have the same label")


def _label_change(bench: Bench, whole: Parted, row: int, before: Probe) -> LabelChange:
    other = another_row(whole.labels, row, whole.rows)
    if other is None:
        raise AssertionError
    change = row_from(row, other, whole.rows)
    after = probe(bench, whole.change(change, labels=True), held=before)
    elements = sum(
        int(elements_that_differ(each, change(each)).sum()) for each in whole.labels.values()
    )
    pairs = enumerate(aligned(before, after))
    told = {index: _told(*pair) for index, pair in pairs if pair[0].gradient is not None}
    return LabelChange(row, elements, after, told)


def aligned(before: Probe, after: Probe) -> list[tuple[Call, Call]]:
    """Lay the calls of two probes side by side.

    Raises:
        Skip: They are not the same calls.
    """
    paths = [[call.path for call in each.calls] for each in (before, after)]
    if paths[0] != paths[1]:
        raise Skip("the step calls the models otherwise when values of the batch change")
    return list(zip(before.calls, after.calls))


def _told(before: Call, after: Call) -> Mask:
    first, second = before.gradient, after.gradient
    if first is None or second is None or first.shape != second.shape:
        raise Skip("the shape of a model's output depends on the labels")
    return elements_that_differ(first, second)


def _reached(trial: Trial, before: Probe, after: Probe) -> dict[int, Mask]:
    found = {}
    for index, (first, second) in enumerate(aligned(before, after)):
        if first.gradient is None:
            continue
        outputs = [_output(trial, call.path, call.arguments) for call in (first, second)]
        if outputs[0].shape != outputs[1].shape or outputs[0].shape != first.gradient.shape:
            raise Skip("the shape of a model's output depends on values or mode")
        found[index] = elements_that_differ(*outputs)
    return found


def _output(trial: Trial, path: str, arguments: Arguments) -> torch.Tensor:
    output: Optional[torch.Tensor] = main_output(
        call_in_eval(module_at(trial.trainee, path), arguments)
    )
    if output is None:
        raise Skip("a model's output holds no tensor in eval mode")
    return output
