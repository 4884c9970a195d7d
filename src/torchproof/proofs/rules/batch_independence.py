"""What is predicted for one row must not depend on the other rows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from torchproof.proofs.batches import row_from, rows_from
from torchproof.proofs.finding import Finding
from torchproof.proofs.labels.relations import (
    check_squares,
    has_a_context,
    has_a_graph,
    has_pairs,
    has_shares,
)
from torchproof.proofs.prediction.answers import answers, behind
from torchproof.proofs.prediction.replacement import (
    Unrounded,
    all_rows,
    persists,
    predict_inputs,
    predicted,
    restored,
    widen,
)
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.process.trail import Mark, goes_on, parting, trail
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.tensors.bits import distance, same
from torchproof.proofs.tensors.trees import map_tensors, named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.batches import Change
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial

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

    Of a prediction that names classes, the scores are compared whose largest they are.

    Assumes that the first dimension of every input (the batch, or without a ``predict`` the model's
    arguments) and of the output is the batch.
    Skipped if the tensors disagree on it, if there is one row only, if two predictions for the same
    batch differ, if the prediction is a matrix between rows, as similarities and their softmax are,
    or is made with one (an adjacency, or edges), in the batch or held by a model or a variable of
    the code, if the other rows matter as examples only (a support and its labels, whose order is
    free), if they decide how often a loop runs and nothing else, as a solver's that stops when all
    have converged, or if float64 is needed and the model cannot be run in it.
    """
    for row in (0, -1):
        gap = _gap(bench, row)
        if gap and persists(gap, partial(_gap, bench, row, double=True)):
            related = _related(bench, row, gap)
            if related:
                raise Skip(related)
            trails = _trails(bench, row)
            if goes_on(*trails):
                raise Skip("how often a loop runs, as of a solver, depends on the other rows")
            mark = parting(*trails)
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
    return rows


def _related(bench: Bench, row: int, gap: float) -> str:
    """Say by what the rows may rightly matter to each other; empty if by nothing."""
    with restored(bench) as trial:
        inputs = predict_inputs(bench)
        rows = _rows(inputs)
        if has_pairs(bench, trial, inputs, rows):
            return "the prediction is a matrix between rows"
        if has_a_graph(bench, trial, inputs, rows):
            return "the model holds a matrix between rows (an adjacency) or their edges"
    with restored(bench) as trial, Unrounded():
        inputs = widen(trial, predict_inputs(bench))
        if has_shares(bench, trial, inputs, rows):
            return "the prediction is a matrix between rows, in shares"
        if has_a_context(bench, trial, inputs, row, gap):
            return "other tensors of the batch are examples for all rows (a support)"
    return ""


def _gap(bench: Bench, row: int, *, double: bool = False) -> float:
    """Return how far the row's prediction moves when it stands in every place; 0.0: not a bit."""
    with restored(bench) as trial:
        inputs = predict_inputs(bench)
        rows = _rows(inputs)
        if double:
            inputs = widen(trial, inputs)
        first = _scored(bench, trial, inputs)
        again = _scored(bench, trial, inputs)
        if len(first) != rows:
            raise Skip(f"the prediction has {len(first)} rows and the batch {rows}")
        if not same(first, again):
            raise Skip("two predictions for the same batch differ")
        check_squares(bench, trial, inputs, first)
        second = _scored(bench, trial, all_rows(inputs, row, rows))
        for change in _fewer_alike(row, rows) if _is_finite(first[row]) else []:
            if not _is_finite(second[row]):
                second = _scored(bench, trial, map_tensors(inputs, change))
        if _is_finite(first[row]) and not _is_finite(second[row]):
            raise Skip("the prediction is not finite if rows are alike")
    if first.shape != second.shape:
        raise Skip("the shape of the prediction depends on the values of the batch")
    return 0.0 if same(first[row], second[row]) else distance(first[row], second[row])


def _fewer_alike(row: int, rows: int) -> list[Change]:
    """Return changes after which not all rows are alike: one is left, or only one is changed.

    Rows that are all alike may have no spread or leave a class empty; one more of a kind does not.
    """
    other = -1 - row
    most = dict.fromkeys(set(range(rows)) - {other % rows}, row % rows)
    return [rows_from(most, rows), row_from(other, row, rows)]


def _scored(bench: Bench, trial: Trial, inputs: Any) -> torch.Tensor:
    """Predict; the scores, where only the classes they speak for are returned."""
    with answers() as found:
        prediction = predicted(bench, trial, inputs)
    return behind(prediction, found)


def _is_finite(tensor: torch.Tensor) -> bool:
    return bool(tensor.isfinite().all())


def _trails(bench: Bench, row: int) -> list[list[Mark]]:
    """Follow the row among the rows of the batch, then among its like."""
    trails = []
    with restored(bench) as trial:
        rows = _rows(predict_inputs(bench))
        for inputs in (predict_inputs(bench), all_rows(predict_inputs(bench), row, rows)):
            with fix_seed(bench.seed), trail(row, rows) as marks:
                trial.predict(inputs)
            trails.append(marks)
    return trails
