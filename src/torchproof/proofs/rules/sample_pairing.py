"""Each prediction must be compared with the label of its own sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from torchproof.proofs.finding import Finding
from torchproof.proofs.losses_seen import loss_line
from torchproof.proofs.pairing import input_changes, label_changes
from torchproof.proofs.rule import Skip, rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.pairing import LabelChange

ID = "sample-pairing"


@rule(
    ID,
    summary="a prediction is compared with the label of its own sample",
    source="Humbatova et al., ICSE 2020 (wrong labels): x shuffled and y not, labels off by one",
    needs=("reproducible",),
    severity="error",
)
def sample_pairing(bench: Bench) -> Iterator[Finding]:
    """The prediction for a sample meets that sample's label in the loss.

    Decided for the first and the last row by two experiments. Its label is overwritten by another
    row's while the loss is given the same outputs: the gradient changes where the loss compares
    this label with something. Its inputs are overwritten: the outputs change that are the
    prediction for this row. It is an error if the changed labels meet predictions of other rows
    alone, and no more of these than there are labels. A loss that knows the whole batch (mixup,
    Dice over all rows, weights by label counts, hard negatives) moves the row's own gradient, too.

    Assumes that inputs and labels have the samples in the same order along their first dimension.
    Skipped without labels, if all are alike, if the rows cannot be told apart in the outputs, or if
    the step is not reproducible or does not run on a batch with other values.
    """
    changes = bench.once(label_changes)
    reached = bench.once(input_changes)
    for change in changes:
        crossed = _crossed(change, reached)
        if crossed is not None:
            yield Finding(
                ID,
                "error",
                f"The label of row {change.row} is compared with the prediction for another row, "
                f"in place {crossed} of the output.",
                evidence={
                    "labels changed": change.elements,
                    "row of the label": change.row,
                    "place in the output": crossed,
                },
                location=loss_line(bench),
                remedy="x, y = x[order], y[order]  # the same order, shift and shape for both",
            )
            return


def _crossed(change: LabelChange, reached: dict[int, dict[int, torch.Tensor]]) -> Optional[int]:
    """Return the row of a prediction that meets the label of another row."""
    touched = sum(_positions(mask) for mask in change.told.values())
    if not 0 < touched <= change.elements:
        return None
    for index, mask in change.told.items():
        if not mask.any():
            continue
        seen = {row: masks[index] for row, masks in reached.items() if index in masks}
        axis = _batch_axis(seen, change.row)
        if axis is None:
            raise Skip("the rows cannot be told apart in the outputs")
        met, own = _indices(mask, axis), _indices(seen[change.row], axis)
        if not met & own:
            return min(met)
    return None


def _positions(mask: torch.Tensor) -> int:
    """Count the places along all axes but that of the classes."""
    return int(mask.any(-1).sum()) if mask.dim() > 1 else int(mask.sum())


def _batch_axis(seen: dict[int, torch.Tensor], row: int) -> Optional[int]:
    """Return the first axis along which two rows change different places."""
    if len(seen) < len(("first", "last")) or row not in seen:
        return None
    first, second = seen.values()
    for axis in range(first.dim()):
        one, other = _indices(first, axis), _indices(second, axis)
        if one and other and not one & other:
            return axis
    return None


def _indices(mask: torch.Tensor, axis: int) -> set[int]:
    rest = [each for each in range(mask.dim()) if each != axis]
    return set(
        mask.any(dim=rest).nonzero().flatten().tolist()
        if rest
        else mask.nonzero().flatten().tolist()
    )
