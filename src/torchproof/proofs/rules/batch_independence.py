"""What is predicted for one row must not depend on the other rows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Optional

import torch

from torchproof.proofs.bits import distance, same
from torchproof.proofs.finding import Finding
from torchproof.proofs.places import defined_at
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.seeds import fix_seed
from torchproof.proofs.trail import Mark, parting, trail
from torchproof.proofs.trees import main_output, map_tensors, named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.trial import Trial

ID = "batch-independence"
# Rounding shrinks by eps(float64)/eps(float32) = 2**-29 when the precision is raised, a dependency
# does not shrink at all; half way between the two, in powers of two, tells them apart.
_SHRINKS = 2.0**-14
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
        if gap and _persists(bench, row, gap):
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


def _gap(bench: Bench, row: int, dtype: Optional[torch.dtype] = None) -> float:
    """Return how far the row's prediction moves when it stands in every place; 0.0: not a bit."""
    with _trained(bench) as trial:
        inputs = trial.inputs
        rows = _rows(inputs)
        if dtype is not None:
            inputs = _widen(trial, inputs, dtype)
        first = _predict(bench, trial, inputs)
        again = _predict(bench, trial, inputs)
        if len(first) != rows:
            raise Skip(f"the prediction has {len(first)} rows and the batch {rows}")
        if not same(first, again):
            raise Skip("two predictions for the same batch differ")
        second = _predict(bench, trial, _replaced(inputs, row, rows))
    if first.shape != second.shape:
        raise Skip("the shape of the prediction depends on the values of the batch")
    return 0.0 if same(first[row], second[row]) else distance(first[row], second[row])


def _persists(bench: Bench, row: int, gap: float) -> bool:
    """Tell a dependency from rounding: only the latter shrinks in float64."""
    try:
        return _gap(bench, row, torch.float64) >= gap * _SHRINKS
    except Exception as error:
        what = f"the prediction moved by {gap:.3g} with the other rows; float64 cannot be tried"
        raise Skip(f"{what} ({type(error).__name__}: {error})") from error


def _where(bench: Bench, row: int) -> Optional[Mark]:
    """Return the first operation in which the row is seen to depend on the others."""
    trails = []
    with _trained(bench) as trial:
        rows = _rows(trial.inputs)
        for inputs in (trial.inputs, _replaced(trial.inputs, row, rows)):
            with fix_seed(bench.seed), trail(row, rows) as marks:
                trial.predict(inputs)
            trails.append(marks)
    return parting(*trails)


@contextmanager
def _trained(bench: Bench) -> Iterator[Trial]:
    with bench.trial() as trial:
        for _ in bench.reference.losses:
            trial.step()
        yield trial


def _predict(bench: Bench, trial: Trial, inputs: Any) -> torch.Tensor:
    with fix_seed(bench.seed):
        output = main_output(trial.predict(inputs))
    if output is None:
        raise Skip("the prediction holds no tensor with a batch dimension")
    return output.detach().clone()


def _replaced(inputs: Any, row: int, rows: int) -> Any:
    """Return the inputs with one row in every place."""

    def repeat(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0:
            return tensor
        return tensor.detach()[[row % rows] * rows].requires_grad_(tensor.requires_grad)

    return map_tensors(inputs, repeat)


def _widen(trial: Trial, inputs: Any, dtype: torch.dtype) -> Any:
    for model in trial.trainee.models.values():
        model.to(dtype)
    torch.set_default_dtype(dtype)
    return map_tensors(inputs, lambda each: each.to(dtype) if each.is_floating_point() else each)
