"""Padding that a model declares itself: the ``padding_idx`` of its embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

import torch

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.probe import module_at, undisturbed
from torchproof.proofs.prediction.replacement import restored
from torchproof.proofs.rule import Skip
from torchproof.proofs.sequences.sequences import sequence
from torchproof.proofs.step.inference import call_in_eval
from torchproof.proofs.tensors.bits import distance, distinct
from torchproof.proofs.tensors.spread import spread
from torchproof.proofs.tensors.trees import main_output, map_tensors


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call
    from torchproof.proofs.step.inference import Arguments

_PER_POSITION = len(("rows", "positions"))
_FEWEST = 2
_ATTENTION = ("Softmax", "ScaledDotProduct")
_OTHERS = ("Conv", "Rnn", "RNN", "Gru", "Lstm", "Max", "Custom")


class Counted(NamedTuple):
    """The gradient of the loss at all outputs in declared padding, and the ids that declare it."""

    behind: torch.Tensor
    ids: list[int]


def counted_by_id(bench: Bench) -> list[Counted]:
    """Return the calls whose outputs the loss asks at places where their tokens are padding.

    The embeddings of the model leave these ids without a vector; they fill the ends of rows of
    unequal length and stand nowhere else. There is a label for each position, or the next token.
    """
    with bench.trial() as trial:
        found = []
        for call in bench.once(undisturbed).judged:
            gradient = call.gradient
            if gradient is None or gradient.dim() <= _PER_POSITION or call.channels_second:
                continue
            ids = _ids(module_at(trial.trainee, call.path))
            padded = _padded(call, ids, gradient.shape[:_PER_POSITION])
            if padded.any() and bool(gradient[padded].any()) and _is_labelled(bench, call):
                found.append(Counted(gradient[padded], ids))
    return found


class Read(NamedTuple):
    """How far the prediction for a row moved with another vector for padding."""

    row: int
    gap: float
    ids: list[int]


def read_by_attention(bench: Bench) -> Optional[Read]:
    """Return a row of whose declared padding a model's answer is made by attention; None if none.

    The vector of the padding is overwritten: what is attended moves, and no bit of what is masked.
    Not judged with convolutions, recurrent layers and maxima, which often read it on purpose.
    """
    with restored(bench) as trial:
        for call in bench.once(undisturbed).judged:
            model = module_at(trial.trainee, call.path)
            ids = _ids(model)
            shapes = {each.shape for each in plain_tensors(call.arguments).values()}
            for shape in (each for each in shapes if len(each) == _PER_POSITION and ids):
                padded = _padded(call, ids, shape)
                found = _moved(model, call, padded) if padded.any() else None
                if found is not None:
                    return Read(*found, ids)
    return None


def _moved(model: torch.nn.Module, call: Call, padded: torch.Tensor) -> Optional[tuple[int, float]]:
    """Return the first row that moves with another vector for padding, and how far."""
    given, full = call.arguments, _filled(call.arguments, padded)
    first, control = _answer(model, given), _answer(model, full)
    if first is None or control is None or len(first) != len(padded) or not _attends(first):
        return None
    for each in model.modules():
        if isinstance(each, torch.nn.Embedding) and each.padding_idx is not None:
            each.weight.data[each.padding_idx] += 1.0
    second, again = _answer(model, given), _answer(model, full)
    # Where no padding is left, only another use of the weights makes a difference: tied ones.
    if second is None or again is None or distance(control, again):
        return None
    places = first.shape[:_PER_POSITION] == padded.shape
    for row in padded.any(1).nonzero().flatten().tolist():
        kept = (row, ~padded[row]) if places else row
        gap = distance(first[kept], second[kept])
        if gap:
            return row, gap
    return None


def _answer(model: torch.nn.Module, given: Arguments) -> Optional[torch.Tensor]:
    """Call a model in eval mode, with the graph of what it gives; None if that fails."""
    try:
        return main_output(call_in_eval(model, given, graph=True))
    except Skip:
        return None


def _filled(given: Arguments, padded: torch.Tensor) -> Arguments:
    """Return arguments in which words stand for the padding."""

    def fill(each: torch.Tensor) -> torch.Tensor:
        if each.shape != padded.shape:
            return each
        return each.masked_fill(padded, each[~padded].flatten()[0])

    filled: Arguments = map_tensors(given, fill)
    return filled


def _attends(output: torch.Tensor) -> bool:
    """Tell whether an output is made by attention and by nothing else that looks at neighbours."""
    nodes = {type(node).__name__ for part in spread(output) for node in part}
    attention = any(name.startswith(_ATTENTION) for name in nodes)
    return attention and not any(other in name for name in nodes for other in _OTHERS)


def _ids(model: torch.nn.Module) -> list[int]:
    embeddings = [each for each in model.modules() if isinstance(each, torch.nn.Embedding)]
    return sorted({each.padding_idx for each in embeddings if each.padding_idx is not None})


def _padded(call: Call, ids: list[int], shape: torch.Size) -> torch.Tensor:
    """Mark the places at which all tokens that a model is given are padding."""
    given = [each for each in plain_tensors(call.arguments).values() if each.shape == shape]
    tokens = [each for each in given if len(distinct(each)) > len(("hidden", "seen"))]
    marks = [next((each == id_ for id_ in ids if _fills(each, id_)), None) for each in tokens]
    padded = torch.full(shape, fill_value=bool(tokens))
    for mark in marks:
        padded &= torch.zeros_like(padded) if mark is None else mark.to(padded.device)
    return padded


def _fills(tokens: torch.Tensor, id_: int) -> bool:
    """Tell whether an id stands at the ends of rows of several lengths, and nowhere else."""
    if tokens.is_floating_point():
        return False
    valid = tokens != id_
    lengths = valid.sum(1)
    at_the_end = bool((valid.cummin(1).values == valid).all())
    padded = int((lengths < tokens.shape[1]).sum())
    return at_the_end and bool(lengths.min()) and len(distinct(lengths)) > 1 and padded >= _FEWEST


def _is_labelled(bench: Bench, call: Call) -> bool:
    """Tell whether each position of a call's output has a label, or the next token for one."""
    if call.gradient is None:
        return False
    rows, positions = call.gradient.shape[:_PER_POSITION]
    labels = parted(bench.trainee).labels.values()
    if any(
        each.dim() >= _PER_POSITION and len(each) == rows and each.shape[1] - positions in (0, 1)
        for each in labels
    ):
        return True
    try:
        seen = bench.once(sequence)
    except Skip:
        return False
    return seen is not None and seen.shift is not None and seen.call is call
