"""How rows may rightly matter to each other: as nodes of a graph, in pairs, or as a context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from torchproof.proofs.batches import row_from
from torchproof.proofs.prediction.promoted import SHRINKS
from torchproof.proofs.prediction.replacement import all_rows, predicted
from torchproof.proofs.rule import Skip
from torchproof.proofs.tensors.attributes import plain_attributes
from torchproof.proofs.tensors.bits import HALF_THE_DIGITS, distance, elements_that_differ, same
from torchproof.proofs.tensors.trees import map_tensors, named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial
    from torchproof.proofs.trainee import Trainee

_DEPTH = 3
_ENDS = len(("from", "to"))


def check_squares(bench: Bench, trial: Trial, inputs: Any, first: torch.Tensor) -> None:
    """Check that no matrix between rows in the batch says how to combine the others.

    Raises:
        Skip: The prediction depends on a tensor that may be one, and on another one.
    """
    named, square = named_tensors(inputs), (len(first), len(first))
    found = [name for name, each in named.items() if each.shape == square]
    others = [name for name in named if name not in found]

    def matters(names: list[str]) -> bool:
        return bool(names) and not same(first, predicted(bench, trial, _turned(inputs, names)))

    if not found or (len(found) == 1 and not others) or not matters(found):
        return
    if len(found) > 1 or matters(others):
        raise Skip(f"{found[0]} may be a matrix between rows (an adjacency, a mask)")


def has_a_graph(bench: Bench, trial: Trial, inputs: Any, rows: int) -> bool:
    """Tell whether the prediction depends on a matrix between rows, or edges, that code holds.

    It is no parameter, but a buffer or an attribute of a model, or a variable of the code.
    """
    first = predicted(bench, trial, inputs)
    for each in _held(trial.trainee):
        if each.layout != torch.strided and each.shape == (rows, rows):
            return True
        if each.requires_grad or each.is_inference() or 0 in each.stride():
            continue
        if each.shape != (rows, rows) and not _joins(each, rows):
            continue
        kept = each.clone()
        try:
            each.zero_()
            if not same(first, predicted(bench, trial, inputs)):
                return True
        finally:
            each.copy_(kept)
    return False


def has_pairs(bench: Bench, trial: Trial, inputs: Any, rows: int) -> bool:
    """Tell whether the prediction has an entry for each pair of rows, which depends on no others.

    Another first or last row then changes what stands in its row and in its column.
    """
    first = predicted(bench, trial, inputs)
    if first.shape[:2] != (rows, rows):
        return False
    for row, other in ((0, -1), (-1, 0)):
        change = row_from(row % rows, other % rows, rows)
        second = predicted(bench, trial, map_tensors(inputs, change))
        moved = elements_that_differ(first, second).reshape(rows, rows, -1).any(2)
        rest = [each for each in range(rows) if each != row % rows]
        if second.shape != first.shape or bool(moved[rest][:, rest].any()):
            return False
    return True


def has_shares(bench: Bench, trial: Trial, inputs: Any, rows: int) -> bool:
    """Tell whether the prediction has a share for each pair of rows, as a softmax makes of scores.

    Shares of a row or of a column add up to one, so another first or last row changes all of them;
    but among the other rows' own they stay in proportion. Of the column of the changed row they do
    not, as a column belongs to a row and not to a class.

    Args:
        bench: Where the trainee comes from.
        trial: In float64.
        inputs: What is predicted for.
        rows: How many they are.
    """
    first = predicted(bench, trial, inputs)
    if first.shape != (rows, rows) or not bool((first > 0).all()):
        return False
    changed = [
        (row, predicted(bench, trial, map_tensors(inputs, row_from(row, other, rows))))
        for row, other in ((0, rows - 1), (rows - 1, 0))
    ]
    return any(
        all(_in_proportion(first, second, row, axis) for row, second in changed) for axis in (0, 1)
    )


def _in_proportion(first: torch.Tensor, second: torch.Tensor, row: int, axis: int) -> bool:
    if second.shape != first.shape:
        return False
    rest = [each for each in range(len(first)) if each != row]
    (kept, moved), (still, after) = (
        (each[rest][:, rest], each[rest][:, [row]]) for each in (first, second)
    )
    own = _apart(moved, after, 0) > HALF_THE_DIGITS
    return own and _apart(kept, still, axis) <= HALF_THE_DIGITS


def _apart(first: torch.Tensor, second: torch.Tensor, axis: int) -> float:
    shares = [each / each.sum(axis, keepdim=True) for each in (first, second)]
    return distance(*shares)


def has_a_context(bench: Bench, trial: Trial, inputs: Any, row: int, gap: float) -> bool:
    """Tell whether only tensors matter to a row that are examples with their answers: a support.

    Several, whose rows may be put in another order together, though none of them alone: then no
    prediction moves. The row's own content is in other tensors, whose other rows do not matter.

    Args:
        bench: Where the trainee comes from.
        trial: In float64.
        inputs: What is predicted for.
        row: The one whose prediction depends on others.
        gap: How far it moves when these are replaced.
    """
    first = predicted(bench, trial, inputs)
    named = {name: each for name, each in named_tensors(inputs).items() if each.dim()}

    def moves(change: Any, at: Any) -> bool:
        second = predicted(bench, trial, change)
        return not distance(first[at], second[at]) < gap * SHRINKS

    context = [
        name
        for name, each in named.items()
        if moves(_with(inputs, each, all_rows(each, row, len(each))), row)
    ]
    own = [name for name in named if name not in context]
    return (
        len(context) > 1
        and not moves(_turned(inputs, context), slice(None))
        and all(moves(_turned(inputs, [each]), slice(None)) for each in context)
        and any(moves(_turned(inputs, [each]), slice(None)) for each in own)
    )


def _turned(inputs: Any, names: Iterable[str]) -> Any:
    """Return the inputs with the rows of some tensors in another order."""
    named = named_tensors(inputs)
    turned = {id(named[name]) for name in names if named[name].dim()}
    return map_tensors(inputs, lambda each: each.roll(1, 0) if id(each) in turned else each)


def _with(inputs: Any, old: torch.Tensor, new: torch.Tensor) -> Any:
    return map_tensors(inputs, lambda each: new if each is old else each)


def _joins(tensor: torch.Tensor, rows: int) -> bool:
    """Tell whether a tensor could list the edges between rows."""
    whole = not tensor.is_floating_point() and tensor.dtype != torch.bool
    if not whole or tensor.dim() != _ENDS or _ENDS not in tensor.shape or not tensor.numel():
        return False
    return int(tensor.min()) >= 0 and int(tensor.max()) < rows


def _held(trainee: Trainee) -> Iterator[torch.Tensor]:
    """Yield the tensors that models and code hold, without parameters."""
    functions: list[Any] = [trainee.predict]
    for model in trainee.models.values():
        for module in model.modules():
            yield from module.buffers(recurse=False)
            yield from named_tensors(plain_attributes(module)).values()
            functions.append(type(module).forward)
    yield from _enclosed(functions, _DEPTH)


def _enclosed(functions: Iterable[Any], depth: int) -> Iterator[torch.Tensor]:
    """Yield the tensors to which functions are bound, and those to which they call."""
    for function in functions:
        cells = getattr(function, "__closure__", None) or ()
        values = [cell.cell_contents for cell in cells if _is_full(cell)]
        yield from named_tensors(values).values()
        if depth:
            yield from _enclosed((each for each in values if callable(each)), depth - 1)


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - a cell that is not bound yet raises
    except ValueError:
        return False
    return True
