"""The scores inside of a model that is given the labels and returns nothing but its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.inside import parts_called
from torchproof.proofs.prediction.probe import undisturbed
from torchproof.proofs.sequences.sequences import sequences_in
from torchproof.proofs.tensors.bits import same


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call
    from torchproof.proofs.sequences.sequences import Sequence

_DIMS = len(("rows", "positions", "classes"))


def inner_sequences(bench: Bench) -> list[Sequence]:
    """Return what the parts of such models are trained to give for the tokens of their inputs.

    The labels are told from the tokens by the batch. Empty where a model returns its scores.
    """
    if bench.once(undisturbed).calls:
        return []
    labels = parted(bench.trainee).labels.values()
    return [
        each
        for each in sequences_in(bench.once(_inner_calls))
        if each.shift is not None and "label" not in each.name and not _is_one(each, labels)
    ]


def _is_one(seen: Sequence, labels: Any) -> bool:
    tokens = plain_tensors(seen.call.arguments)[seen.name]
    return any(same(tokens, each) for each in labels)


def _inner_calls(bench: Bench) -> list[Call]:
    with bench.trial() as trial, parts_called(trial.trainee) as found:
        trial.step()
    return [call for call in found if call.output is not None and call.output.dim() == _DIMS]
