"""Inputs of the batch that are changed alone, and whether anything depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.batches import Change, Parted, every_row_from, plain_tensors, reversed_rows
from torchproof.proofs.labels.noise import after_a_step
from torchproof.proofs.prediction.probe import undisturbed
from torchproof.proofs.rule import Skip
from torchproof.proofs.tensors.bits import different, distinct, not_finite, same


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.bench import Bench

# Trained weights first; then others, in case these give the same for every input.
NOISES = (0, 1, 2)
# Each that nothing depends on costs a dozen steps, each other one two.
_MOST_INPUTS = 4


def is_unread(bench: Bench, whole: Parted, name: str) -> bool:
    """Tell whether a call of the step stays the same, with any weights, when one input changes."""
    return not any(_matters(bench, whole, name, noise) for noise in reversed(NOISES))


def given_inputs(bench: Bench, whole: Parted) -> list[str]:
    """Name the inputs that are arguments of a model and tell rows apart, if there are several."""
    given = [
        each
        for call in bench.once(undisturbed).judged
        for each in plain_tensors(call.arguments).values()
    ]
    several = {
        name: each
        for name, each in whole.inputs.items()
        if any(same(each, argument) for argument in given)
    }
    names = [
        name
        for name, each in several.items()
        if len(several) > 1 and each.shape[:1] == (rows_of(whole),) and _tells_rows_apart(each)
    ]
    return names[:_MOST_INPUTS]


def rows_of(whole: Parted) -> int:
    """Return the size of the batch; without labels, what most of its inputs begin with."""
    if whole.labels:
        return whole.rows
    sizes = [len(each) for each in whole.inputs.values() if each.dim()]
    if not sizes:
        raise Skip("the batch holds no tensors with a batch dimension")
    return max(sizes, key=sizes.count)


def changes_of(rows: int) -> list[Change]:
    """Return changes of the rows; a mean over rows keeps its bits under the first one only."""
    return [reversed_rows(rows), every_row_from(0, rows), every_row_from(rows - 1, rows)]


def _tells_rows_apart(tensor: torch.Tensor) -> bool:
    several = tensor.dim() > 0 and not same(tensor, tensor[:1].expand_as(tensor))
    return several and len(distinct(tensor)) > len(("no", "yes"))


def _matters(bench: Bench, whole: Parted, name: str, noise: int) -> bool:
    """Tell whether a call of the step is not finite, or changes when one input changes."""
    only = whole._replace(inputs={name: whole.inputs[name]})
    before = after_a_step(bench, whole.batch, noise)
    return bool(not_finite(before)) or any(
        different(before, after_a_step(bench, only.change(change, labels=False), noise))
        for change in changes_of(rows_of(whole))
    )
