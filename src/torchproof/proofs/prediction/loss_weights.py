"""Losses among whose elements none weighs more than another, as far as data can weigh them.

The sign of the others may be that of a weight in the data: of a reward, of a cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.probe import undisturbed
from torchproof.proofs.tensors.bits import same


if TYPE_CHECKING:
    from collections.abc import Iterable

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.loss_signs import LossSign


def weighed_alike(losses: Iterable[LossSign]) -> list[LossSign]:
    """Return those losses of which no element, in one call, weighs more than another."""
    together: dict[Any, list[LossSign]] = {}
    for each in losses:
        together.setdefault((each.call, each.name, each.location), []).append(each)
    return [
        group[0]
        for group in together.values()
        if len({weight for each in group for weight in (each.least, each.most)}) == 1
    ]


def not_weighed(bench: Bench, losses: list[LossSign]) -> list[LossSign]:
    """Return those losses whose elements nothing in the batch can weigh.

    All its numbers are the labels, or are given to models as they are. A label for each row may be
    an action, whose cost is a function of it.
    """
    whole = parted(bench.trainee)
    calls = bench.once(undisturbed).calls
    given = [each for call in calls for each in plain_tensors(call.arguments).values()]
    numbers = [each for each in whole.inputs.values() if each.is_floating_point()]
    known = all(any(same(each, other) for other in given) for each in numbers)
    if len(whole.labels) != 1 or not known:
        return []
    several = all(each.numel() > len(each) for each in whole.labels.values() if each.dim())
    overlap = "probability times label" if several else ""
    return [each for each in losses if not each.of_classes or each.name == overlap]
