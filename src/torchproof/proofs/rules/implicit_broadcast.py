"""Two tensors that were meant to be paired must not be crossed."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding
from torchproof.proofs.rule import rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Operand, Operation

ID = "implicit-broadcast"

_ARITHMETIC = {
    *("add", "sub", "mul", "div", "pow", "radd", "rsub", "rmul", "rdiv", "rpow"),
    *("truediv", "rtruediv", "true_divide", "subtract", "multiply", "divide", "floor_divide"),
    *("maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp", "xlogy", "where", "lerp"),
    *("iadd", "isub", "imul", "idiv", "itruediv", "ne", "eq", "lt", "le", "gt", "ge"),
}
_LOSSES = {
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div", "poisson_nll_loss"),
    *("gaussian_nll_loss", "soft_margin_loss", "hinge_embedding_loss", "margin_ranking_loss"),
    *("binary_cross_entropy", "binary_cross_entropy_with_logits"),
}


@rule(
    ID,
    summary="prediction and target are paired, not crossed, by broadcasting",
    source="pytorch #16045, #19699, #4938; prob-ml/bliss #1063",
    needs=("observation",),
    severity="error",
)
def implicit_broadcast(bench: Bench) -> Iterator[Finding]:
    """``(N, 1) - (N,)`` gives ``(N, N)``: every prediction meets every target, without an error.

    Decided from the operations the step calls outside the model: elementwise arithmetic or a loss
    function with two tensors of different rank but the same sizes once axes of size 1 are dropped,
    exactly one of which requires a gradient, whose result is larger than both. Where none requires
    one (a target, a metric), one has to come from a model and the other from the batch alone.

    Assumes that a cross of all pairs is written with an explicit axis on the same line
    (``p[:, None] - t``), as it is in quantile, triplet and contrastive losses. Skipped if the step
    cannot be watched.
    """
    reported = set()
    for operation in bench.observation.operations:
        pair = _crossed(operation)
        if pair is None or operation.location in reported:
            continue
        reported.add(operation.location)
        first, second = (list(each.shape) for each in pair)
        result = _broadcast(*pair)
        yield Finding(
            ID,
            "error",
            f"{operation.name} of {first} and {second} broadcasts to {result}: every prediction is "
            f"compared with every target instead of its own.",
            evidence={
                "operation": operation.name,
                "shapes": [first, second],
                "result": result,
            },
            location=operation.location,
            remedy=_remedy(pair),
        )


def _crossed(operation: Operation) -> tuple[Operand, Operand] | None:
    """Return the two operands of an operation that crosses what should be paired."""
    loss = operation.name in _LOSSES
    if operation.inside is not None or not (loss or operation.name in _ARITHMETIC):
        return None
    tensors = [each for each in operation.operands if math.prod(each.shape) > 1]
    for index, first in enumerate(tensors):
        for second in tensors[index + 1 :]:
            meant = not loss and operation.location in (first.axis_added, second.axis_added)
            if _two_sided(first, second) and not (meant and operation.location):
                return first, second
    return None


def _two_sided(first: Operand, second: Operand) -> bool:
    if not _meet(first, second) or len(first.shape) == len(second.shape):
        return False
    if _squeezed(first) != _squeezed(second):
        return False
    result = _broadcast(first, second)
    return math.prod(result) > max(math.prod(first.shape), math.prod(second.shape))


def _meet(first: Operand, second: Operand) -> bool:
    """Tell whether a prediction meets something that was not predicted."""
    if first.requires_grad or second.requires_grad:
        return first.requires_grad != second.requires_grad
    return {first.source, second.source} == {"model", "batch"}


def _broadcast(first: Operand, second: Operand) -> list[int]:
    """Return the shape that the two broadcast to; empty if they do not."""
    sizes = zip_longest(reversed(first.shape), reversed(second.shape), fillvalue=1)
    pairs = [(one, other) for one, other in sizes]
    fits = all(one == other or 1 in (one, other) for one, other in pairs)
    return [max(pair) for pair in reversed(pairs)] if fits else []


def _squeezed(operand: Operand) -> list[int]:
    return [size for size in operand.shape if size != 1]


def _remedy(pair: tuple[Operand, Operand]) -> str:
    longer = max(pair, key=lambda each: len(each.shape))
    axis = next(i - len(longer.shape) for i, size in enumerate(longer.shape) if size == 1)
    which = "prediction" if longer.source == "model" else "target"
    return f"{which}.squeeze({axis})  # give both the same shape"
