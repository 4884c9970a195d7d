"""Class ids that a model is given and that its scores are compared with, and not leaked for that.

A margin loss in the model (ArcFace, Deng et al., 2019) moves the score of the true class; one that
weighs hard examples (CurricularFace, Huang et al., 2020) moves others as well, but no layer reads
the label. Where a layer does, and the scores of further classes move, the label is a feature.
In a sampled softmax (Jean et al., 2015) labels are among the candidates that all rows are scored
against.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch

from torchproof.proofs.batches import another_row, parted, plain_tensors
from torchproof.proofs.prediction.pairing import LabelChange, aligned
from torchproof.proofs.prediction.probe import module_at, undisturbed
from torchproof.proofs.prediction.replacement import about, restored
from torchproof.proofs.step.inference import call_in_eval
from torchproof.proofs.tensors.bits import elements_that_differ, same


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call
    from torchproof.proofs.step.trial import Trial

_LAYERS = (
    torch.nn.Linear,
    torch.nn.modules.conv._ConvNd,  # noqa: SLF001 - torch has no public name for all convolutions
    torch.nn.RNNBase,
    torch.nn.RNNCellBase,
)
_SCORES = len(("rows", "classes"))


def scores_read_it(bench: Bench, change: LabelChange, index: int) -> bool:
    """Tell whether a layer reads the exchanged label before scores are held against it.

    Args:
        bench: Where the trainee comes from.
        change: One row's label was exchanged for another row's.
        index: Of the call that was given the labels; it has to return one row of scores each.
    """
    whole = parted(bench.trainee)
    (labels, *others) = whole.labels.values()
    other = another_row(whole.labels, change.row, whole.rows)
    if others or other is None or labels.dim() != 1 or labels.is_floating_point():
        return False
    pair = aligned(bench.once(undisturbed), change.probe)[index]
    told = change.told.get(index)
    if told is None or told.dim() != _SCORES or len(told) != len(labels):
        return False
    classes = [int(labels[change.row]), int(labels[other])]
    if not 0 <= min(classes) <= max(classes) < told.shape[1]:
        return False
    with restored(bench) as trial:
        (first, read), (second, read_then) = (_run(trial, call) for call in pair)
    if first.shape != told.shape or second.shape != told.shape or len(read) != len(read_then):
        return False
    moved = elements_that_differ(first, second)[change.row]
    held = bool(told[change.row, classes].all() and moved[classes].all())
    moved[classes] = False
    return held and bool(moved.any()) and any(map(_differ, read, read_then))


def are_candidates(first: Call, second: Call) -> bool:
    """Tell whether rows of an argument are what every row is scored against, a column for each.

    Labels are among the candidates that the loss chooses from, as in a sampled softmax.
    """
    one, other = first.output, second.output
    if one is None or other is None or one.shape != other.shape or one.dim() != _SCORES:
        return False
    moved = elements_that_differ(one, other)
    pairs = zip(plain_tensors(first.arguments).values(), plain_tensors(second.arguments).values())
    changed = [
        elements_that_differ(given, new).reshape(len(given), -1).any(1)
        for given, new in pairs
        if given.dim() and given.shape == new.shape and not same(given, new)
    ]
    everywhere = bool(moved.any(1).all()) and len(changed) == 1
    return everywhere and torch.equal(changed[0], moved.any(0))


def _run(trial: Trial, call: Call) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return a call's output in eval mode and what its layers were given."""
    module = module_at(trial.trainee, call.path)
    read: list[torch.Tensor] = []

    def keep(_: Any, given: Any) -> None:
        read.extend(each.detach().clone() for each in given[:1] if isinstance(each, torch.Tensor))

    with ExitStack() as stack:
        for part in module.modules():
            if isinstance(part, _LAYERS):
                stack.callback(part.register_forward_pre_hook(keep).remove)
        return about(call_in_eval(module, call.arguments)), read


def _differ(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and bool(elements_that_differ(one, other).any())
