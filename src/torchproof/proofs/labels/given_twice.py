"""Inputs that a model is given twice for nothing, and those whose place one of them takes."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.probe import undisturbed
from torchproof.proofs.tensors.bits import different, same


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call


def given_twice(bench: Bench) -> dict[str, str]:
    """Return inputs that no model is given, and for each another one that a model got twice.

    Both are of one shape (two dimensions or more) and type, and the model returned the same bits
    for both calls, so that no dropout made two views of one input.
    """
    calls = bench.once(undisturbed).judged
    twice = [one for one, other in combinations(calls, 2) if _alike(one, other)]
    repeated = [each for call in twice for each in plain_tensors(call.arguments).values()]
    given = [each for call in calls for each in plain_tensors(call.arguments).values()]
    inputs = {name: each for name, each in parted(bench.trainee).inputs.items() if each.dim() > 1}
    return {
        name: other
        for name, each in inputs.items()
        for other, taken in inputs.items()
        if each.shape == taken.shape
        and each.dtype == taken.dtype
        and _among(taken, repeated)
        and not _among(each, given)
    }


def _alike(one: Call, other: Call) -> bool:
    arguments = [plain_tensors(each.arguments) for each in (one, other)]
    if one.path != other.path or one.output is None or other.output is None:
        return False
    return not different(*arguments) and same(one.output, other.output)


def _among(tensor: torch.Tensor, others: list[torch.Tensor]) -> bool:
    return any(each.shape == tensor.shape and same(each, tensor) for each in others)
