"""Which predictions an input changes, and which predictions a label is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.batches import (
    Parted,
    another_row,
    parted,
    plain_tensors,
    row_from,
    rows_from,
)
from torchproof.proofs.prediction.probe import Call, Probe, module_at, probe, undisturbed
from torchproof.proofs.prediction.replacement import restored
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.inference import call_in_eval
from torchproof.proofs.tensors.bits import elements_that_differ
from torchproof.proofs.tensors.trees import main_output


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.inference import Arguments
    from torchproof.proofs.step.trial import Trial

Mask = torch.Tensor


@dataclass(frozen=True)
class LabelChange:
    """One row's label was overwritten by another's while the outputs were held.

    ``told`` holds, by the call's index, the elements of its output for which the gradient of the
    loss changed.
    """

    row: int
    probe: Probe
    told: dict[int, Mask]


class Reach(NamedTuple):
    """What other inputs of some rows change, by the call's index.

    ``outputs``: the elements of the call's output, in eval mode; ``arguments``: the rows of what
    the step calls the model with, which are some more where it mixes the rows of the batch.
    """

    outputs: dict[int, Mask]
    arguments: dict[int, set[int]]


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


def labels_act(bench: Bench) -> bool:
    """Tell whether the loss compares a label of the first or the last row with an output.

    Raises:
        Skip: As in `label_changes`.
    """
    return any(mask.any() for each in bench.once(label_changes) for mask in each.told.values())


def reach(bench: Bench, rows: Iterable[int]) -> Reach:
    """Overwrite the inputs of some rows, each by another row's, and see what changes.

    Raises:
        Skip: The step calls the models otherwise for other inputs.
    """
    whole = parted(bench.trainee)
    before = bench.once(undisturbed)
    found = {row: another_row(whole.inputs, row, whole.rows) for row in rows}
    others = {row: other for row, other in found.items() if other is not None}
    after = probe(bench, whole.change(rows_from(others, whole.rows), labels=False))
    arguments = {
        index: _rows_changed(*pair)
        for index, pair in enumerate(aligned(before, after))
        if pair[0].gradient is not None
    }
    with restored(bench) as trial:
        return Reach(_reached(trial, before, after), arguments)


def told(bench: Bench, others: Mapping[int, int], name: Optional[str] = None) -> dict[int, Mask]:
    """Give some rows the labels of others; return where the gradient changes, the outputs held.

    Args:
        bench: Where the trainee comes from.
        others: The rows, and those whose labels they get.
        name: Of the only tensor of labels that is changed; None for all.

    Raises:
        Skip: The step does not run on other labels.
    """
    whole = parted(bench.trainee)
    return _told_on(bench, whole.change(rows_from(others, whole.rows), labels=True, only=name))


def told_part(bench: Bench, row: int, other: int, name: str) -> dict[int, Mask]:
    """Give the last of a row's labels the value of another row's; return as `told` does."""

    def change(labels: torch.Tensor) -> torch.Tensor:
        fresh = labels.detach().clone().contiguous()
        parts = fresh.view(len(fresh), -1)
        parts[row, -1] = parts[other, -1]
        return fresh.requires_grad_(labels.requires_grad)

    return _told_on(bench, parted(bench.trainee).change(change, labels=True, only=name))


def _told_on(bench: Bench, batch: Any) -> dict[int, Mask]:
    before = bench.once(undisturbed)
    pairs = enumerate(aligned(before, probe(bench, batch, held=before)))
    return {index: _told(*pair) for index, pair in pairs if pair[0].gradient is not None}


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
    pairs = enumerate(aligned(before, after))
    told = {index: _told(*pair) for index, pair in pairs if pair[0].gradient is not None}
    return LabelChange(row, after, told)


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
    return _beyond_a_factor(first, second)


def _beyond_a_factor(first: torch.Tensor, second: torch.Tensor) -> Mask:
    """Mark what differs; where that is everything, what is not the same multiple as most others.

    A loss that is the root of a mean, or a mean over as many as the labels say, weighs all rows
    otherwise when one label changes; this label is compared with the rest alone. Rounding is told
    from a comparison by half the digits: a multiple is off by some units in the last place.
    """
    changed, read = elements_that_differ(first, second), first.ne(0)
    if not first.is_floating_point() or not read.any() or not bool(changed[read].all()):
        return changed
    wide, other = first.double(), second.double()
    factor = (other[read] / wide[read]).median()
    rounding = torch.finfo(first.dtype).eps ** 0.5 * other.abs().max()
    rest = changed & ((other - factor * wide).abs() > rounding)
    followed = int((changed & ~rest & read).sum())
    return rest if rest.any() and followed > int(rest.sum()) else changed


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


def _rows_changed(before: Call, after: Call) -> set[int]:
    """Return the rows of a call's arguments that differ, if they are those of its output."""
    if before.output is None or not before.output.dim():
        return set()
    changed = torch.zeros(len(before.output), dtype=torch.bool)
    others = plain_tensors(after.arguments)
    for name, one in plain_tensors(before.arguments).items():
        other = others.get(name)
        if other is None or other.shape != one.shape or one.shape[:1] != changed.shape:
            continue
        changed |= elements_that_differ(one, other).reshape(len(one), -1).any(1).cpu()
    return set(changed.nonzero().flatten().tolist())
