"""The weights of attention must add up to 1 over what they are summed up over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding
from torchproof.proofs.rule import rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "attention-axis"


@rule(
    ID,
    summary="attention is normalised over the axis that it sums up",
    source="Vaswani et al., 2017, equation 1; softmax over dim=1 of (rows, heads, queries, keys)",
    needs=("observation",),
    severity="error",
)
def attention_axis(bench: Bench) -> Iterator[Finding]:
    """The softmax of attention runs over the keys, and over more than one.

    Decided from the autograd graph of the step: where weights go from their softmax to a product
    with values that is summed up (``@``, ``einsum``, ``(weights * values).sum(1)``),

    * the softmax ran over an axis with one element, so that every weight is exactly 1, and another
      axis is summed up,
    * or layers made queries, keys and values of one tensor, and the softmax of the scores did not
      run over the axis that is summed up: it is that of the queries, the heads or the rows.

    Assumes that self-attention is meant to take means of the values. Nothing is said where weights
    are divided by a sum on the way, as between slots and inputs, where queries and keys come from
    different tensors (clusters, slots, capsules), or where scores are no product of two matrices.
    Skipped if the step cannot be watched.
    """
    found = next(iter(bench.observation.misweighed), None)
    if found is None:
        return
    yield Finding(
        ID,
        "error",
        "The softmax runs over an axis with one element, so that each weight is 1 whatever the "
        "scores are, and another axis is summed up here."
        if found.size == 1
        else "The weights of attention do not add up to 1 over the axis that is summed up here, "
        "that of the keys: their softmax runs over another one.",
        evidence={"weights that add up to 1": found.size},
        location=found.location,
        remedy="weights = scores.softmax(-1)  # the axis of the keys, which is summed up",
    )
