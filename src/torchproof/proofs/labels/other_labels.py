"""A batch whose labels are exchanged, and what may follow from that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from torchproof.proofs.batches import Parted, reversed_rows
from torchproof.proofs.prediction.pairing import aligned
from torchproof.proofs.prediction.probe import probe, undisturbed
from torchproof.proofs.tensors.bits import distinct, elements_that_differ


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench

_PER_POSITION = len(("rows", "positions"))


def other_labels(whole: Parted, *, late: bool) -> Any:
    """Return the batch with labels of other rows; ``late``: only the last of each row's labels."""
    turned = reversed_rows(whole.rows)

    def change(labels: torch.Tensor) -> torch.Tensor:
        if not late or labels.dim() < _PER_POSITION:
            return turned(labels)
        fresh = labels.detach().clone()
        fresh[:, -1] = turned(labels)[:, -1]
        return fresh

    return whole.change(change, labels=True)


def rows_told(bench: Bench, others: Any, rows: int) -> torch.Tensor:
    """Mark the rows whose last label the loss compares with an output; all if it cannot be said.

    A row in which the last label is not hidden may show it to the others.
    """
    before = bench.once(undisturbed)
    told = [
        elements_that_differ(one.gradient, other.gradient).reshape(rows, -1).any(1)
        for one, other in aligned(before, probe(bench, others, held=before))
        if one.gradient is not None and other.gradient is not None and len(one.gradient) == rows
        if one.gradient.shape == other.gradient.shape
    ]
    return torch.stack(told).any(0) if told else torch.ones(rows, dtype=torch.bool)


def may_be_noisy(whole: Parted) -> bool:
    """Tell whether an input could be noise to be mixed with the labels: numbers of one shape."""
    return any(
        label.is_floating_point() and label.dim() > 1 and label.shape == each.shape
        for label in whole.labels.values()
        for each in whole.inputs.values()
        if each.is_floating_point() and len(distinct(each)) > len(("hidden", "seen"))
    )
