"""What is predicted for one row must not depend on the other rows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Optional

from torchproof.proofs.bits import distance, same
from torchproof.proofs.finding import Finding
from torchproof.proofs.places import defined_at
from torchproof.proofs.replacement import (
    all_rows,
    persists,
    predict_inputs,
    predicted,
    restored,
    widen,
)
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.seeds import fix_seed
from torchproof.proofs.trail import Mark, parting, trail
from torchproof.proofs.trees import named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "batch-independence"
_ORDINAL = {0: "first", -1: "last"}


@rule(
    ID,
    summary="a row's prediction does not depend on the other rows of the batch",
    source="Karpathy, A Recipe for Training Neural Networks (2019); transformers #17455",
    needs=("predict",),
    severity="error",
)
def batch_independence(bench: Bench) -> Iterator[Finding]:
    """A row's prediction stays the same when every other row is replaced.

    Decided by predicting twice, for the batch as it is and for one in which the kept row (the
    first, then the last) stands in every place. The shapes are the same, so the bits have to be. If
    they are not, it is repeated in float64: a difference that does not shrink with the rounding
    error is a dependency.

    Assumes that the first dimension of every input (the batch, or without a ``predict`` the model's
    arguments) and of the output is the batch.
    Skipped if the tensors disagree on it, if there is one row only, if two predictions for the same
    batch differ, or if float64 is needed and the model cannot be run in it.
    """
    for row in (0, -1):
        gap = _gap(bench, row)
        if gap and persists(gap, partial(_gap, bench, row, double=True)):
            mark = _where(bench, row)
            yield Finding(
                ID,
                "error",
                f"The prediction for the {_ORDINAL[row]} row depends on the other rows of the "
                f"batch: replacing them changed it by {gap:.3g}.",
                evidence={
                    "row": _ORDINAL[row],
                    "largest change": gap,
                    "first seen in": mark.name if mark else "not known",
                },
                location=mark.location if mark else defined_at(bench.trainee.predict),
                remedy="keep dim 0 the batch: transpose instead of view/reshape, batch_first=True, "
                "model.eval() before predicting, no statistics over dim 0",
            )
            return


def _rows(inputs: Any) -> int:
    """Return the batch size, if all tensors with a dimension agree on it."""
    named = {name: each for name, each in named_tensors(inputs).items() if each.dim()}
    sizes = {name: len(each) for name, each in named.items()}
    if len(set(sizes.values())) != 1:
        raise Skip(f"the inputs do not share a batch dimension: {sizes}")
    rows = next(iter(sizes.values()))
    if rows == 1:
        raise Skip("the batch has one row")
    square = [name for name, each in named.items() if each.shape == (rows, rows)]
    if square and len(named) > len(("inputs", "labels")):
        raise Skip(f"{square[0]} may be a matrix between rows (an adjacency, a mask)")
    return rows


def _gap(bench: Bench, row: int, *, double: bool = False) -> float:
    """Return how far the row's prediction moves when it stands in every place; 0.0: not a bit."""
    with restored(bench) as trial:
        inputs = predict_inputs(bench)
        rows = _rows(inputs)
        if double:
            inputs = widen(trial, inputs)
        first = predicted(bench, trial, inputs)
        again = predicted(bench, trial, inputs)
        if len(first) != rows:
            raise Skip(f"the prediction has {len(first)} rows and the batch {rows}")
        if not same(first, again):
            raise Skip("two predictions for the same batch differ")
        second = predicted(bench, trial, all_rows(inputs, row, rows))
    if first.shape != second.shape:
        raise Skip("the shape of the prediction depends on the values of the batch")
    return 0.0 if same(first[row], second[row]) else distance(first[row], second[row])


def _where(bench: Bench, row: int) -> Optional[Mark]:
    """Return the first operation in which the row is seen to depend on the others."""
    trails = []
    with restored(bench) as trial:
        rows = _rows(predict_inputs(bench))
        for inputs in (predict_inputs(bench), all_rows(predict_inputs(bench), row, rows)):
            with fix_seed(bench.seed), trail(row, rows) as marks:
                trial.predict(inputs)
            trails.append(marks)
    return parting(*trails)
