"""Which way a policy is pushed by what its actions have gained.

The gradient of a log-probability at the logits is positive at the action and negative at every
other one. So the gradient that a larger advantage of one row adds shows at that row whether the
loss has the log-probability with a plus or a minus sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

import torch

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.bits import elements_that_differ
from torchproof.proofs.pairing import aligned
from torchproof.proofs.probe import Call, probe, undisturbed
from torchproof.proofs.trees import map_tensors


if TYPE_CHECKING:
    from torchproof.proofs.batches import Parted
    from torchproof.proofs.bench import Bench

_GAINS = ("advantage", "reward", "return")
_PER_CLASS = len(("rows", "classes"))


class Push(NamedTuple):
    """What a larger gain of a row adds to the gradient at the logit of its action."""

    gain: str
    row: int
    slope: float


def pushes(bench: Bench) -> list[Push]:
    """Raise the gain of the first row, then of the last, while the loss is given the same outputs.

    Only where one model gives logits of actions is something returned: where the gradient changes
    at this row alone, with one sign at the action and the other at all other ones.
    """
    whole = parted(bench.trainee)
    tensors = plain_tensors(whole.batch)
    actions = _actions(whole, tensors)
    gains = [name for name in tensors if any(each in name.lower() for each in _GAINS)]
    if actions is None or len(bench.trainee.models) > 1:
        return []
    return [
        push
        for name in gains
        if tensors[name].is_floating_point() and tensors[name].numel() == len(actions)
        for row in (0, len(actions) - 1)
        for push in [_push(bench, whole, name, row, int(actions[row]))]
        if push is not None
    ]


def _actions(whole: Parted, tensors: dict[str, torch.Tensor]) -> Optional[torch.Tensor]:
    """Return the action of each row: what is called so, or the labels."""
    named = [each for name, each in tensors.items() if "action" in name.lower()]
    for each in (*named, *whole.labels.values()):
        if each.dim() and each.numel() == len(each) and each.dtype == torch.long:
            return each.flatten()
    return None


def _push(bench: Bench, whole: Parted, name: str, row: int, action: int) -> Optional[Push]:
    gain = plain_tensors(whole.batch)[name]
    raised = gain.detach().clone()
    raised[row] += 1 + gain.detach().abs().max()
    batch = map_tensors(whole.batch, lambda each: raised if each is gain else each)
    before = bench.once(undisturbed)
    for pair in aligned(before, probe(bench, batch, held=before)):
        added = _added(*pair, row=row)
        if added is not None and action < len(added):
            others = torch.cat([added[:action], added[action + 1 :]])
            slope = float(added[action])
            if slope and bool((others * slope < 0).all()):
                return Push(name, row, slope)
    return None


def _added(first: Call, second: Call, *, row: int) -> Optional[torch.Tensor]:
    """Return what is added to the gradient at a row; None if another row changes too."""
    one, other = first.gradient, second.gradient
    if one is None or other is None or one.dim() != _PER_CLASS or one.shape != other.shape:
        return None
    moved = elements_that_differ(one, other).any(1).nonzero().flatten().tolist()
    return (other - one)[row] if moved == [row] and one.shape[1] > 1 else None
