"""Which way a policy is pushed by what its actions have gained.

The gradient of a log-probability at the logits is positive at the action and negative at every
other one. So the gradient that a larger advantage of one row adds shows at that row whether the
loss has the log-probability with a plus or a minus sign; where a distribution of torch computes
the log-probability, the gradient that arrives at it shows it for actions of any kind.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.pairing import aligned, reach
from torchproof.proofs.prediction.probe import Call, Probe, probe, undisturbed
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.likelihoods import likelihoods
from torchproof.proofs.tensors.trees import map_tensors


if TYPE_CHECKING:
    from torchproof.proofs.batches import Parted
    from torchproof.proofs.bench import Bench

_GAINS = ("advantage", "reward", "return")
# What replay buffers and papers call them, beside an action.
_SHORT_GAINS = ("r", "rew", "rews", "ret", "rets", "adv", "advs")
_SHORT_ACTIONS = ("a", "act", "acts")
_PER_CLASS = len(("rows", "classes"))


class Push(NamedTuple):
    """What a larger gain of a row adds to the gradient at the logit of its action.

    Or at the logarithm of the action's probability.
    """

    gain: str
    row: int
    slope: float


def gains(bench: Bench) -> list[str]:
    """Return the names of what the batch calls an advantage, a reward or a return."""
    tensors = plain_tensors(parted(bench.trainee).batch)
    short = _SHORT_GAINS if any(_is_action(name) for name in tensors) else ()
    return [
        name
        for name, each in tensors.items()
        if each.is_floating_point() and (_last(name) in short or _names_gain(name))
    ]


def pushes(bench: Bench) -> list[Push]:
    """Raise the gain of the first row, then of the last, while the loss is given the same outputs.

    Something is returned only where the gradient changes at the logits of this row, with one sign
    at the action and the other at all other ones, or at the log-probability of its action.
    """
    whole = parted(bench.trainee)
    actions = _actions(whole, plain_tensors(whole.batch))
    if actions is None:
        return []
    return [
        push
        for name in gains(bench)
        if plain_tensors(whole.batch)[name].numel() == len(actions)
        for row in (0, len(actions) - 1)
        for push in [_push(bench, whole, name, row, actions)]
        if push is not None
    ]


def _last(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _names_gain(name: str) -> bool:
    return any(gain in name.lower() for gain in _GAINS)


def _is_action(name: str) -> bool:
    return "action" in name.lower() or _last(name) in _SHORT_ACTIONS


def _actions(whole: Parted, tensors: dict[str, torch.Tensor]) -> Optional[torch.Tensor]:
    """Return the actions, a row each: what is called so, or class ids among the labels."""
    named = [each for name, each in tensors.items() if _is_action(name) and each.dim()]
    ids = [each for each in whole.labels.values() if each.dim() and each.dtype == torch.long]
    return next(iter([*named, *(each for each in ids if each.numel() == len(each))]), None)


def _push(
    bench: Bench, whole: Parted, name: str, row: int, actions: torch.Tensor
) -> Optional[Push]:
    gain = plain_tensors(whole.batch)[name]
    raised = gain.detach().clone()
    raised[row] += 1 + gain.detach().abs().max()
    batch = map_tensors(whole.batch, lambda each: raised if each is gain else each)
    before = bench.once(undisturbed)
    after, slopes = _heard(bench, batch, actions, before)
    if actions.dtype == torch.long and actions.numel() == len(actions):
        action = int(actions.flatten()[row])
        places = bench.once(_places).get(row, {})
        for index, pair in enumerate(aligned(before, after)):
            slope = _at_logit(*pair, row=places[index], action=action) if index in places else 0.0
            if slope:
                return Push(name, row, slope)
    _, known = _heard(bench, whole.batch, actions, before)
    for one, other in zip(known, slopes):
        if one.shape == other.shape and float((other - one)[row].sum()):
            return Push(name, row, float((other - one)[row].sum()))
    return None


def _places(bench: Bench) -> dict[int, dict[int, int]]:
    """Return where the first and the last row are in what a model is given, by call.

    Where a step takes its batch in parts, or in another order, it is not the row of that number.
    """
    found: dict[int, dict[int, int]] = {}
    for row in (0, parted(bench.trainee).rows - 1):
        with suppress(Skip):
            given = reach(bench, [row]).arguments
            found[row] = {
                index: next(iter(each)) for index, each in given.items() if len(each) == 1
            }
    return found


def _heard(
    bench: Bench, batch: Any, actions: torch.Tensor, held: Probe
) -> tuple[Probe, list[torch.Tensor]]:
    """Return the probe and the gradients that arrive at the log-probabilities of the actions."""
    slopes: list[torch.Tensor] = []

    def hear(_: Any, value: Any, result: torch.Tensor) -> None:
        if not isinstance(value, torch.Tensor) or value.requires_grad or not result.requires_grad:
            return
        if value.numel() == actions.numel() and torch.equal(value.flatten(), actions.flatten()):
            untyped: Any = result
            untyped.register_hook(lambda gradient: slopes.append(gradient.detach().clone()))

    with likelihoods(hear):
        return probe(bench, batch, held=held), slopes


def _at_logit(first: Call, second: Call, *, row: int, action: int) -> float:
    """Return what is added at the action of a row, if its sign is other than everywhere else."""
    one, other = first.gradient, second.gradient
    if one is None or other is None or one.dim() != _PER_CLASS or one.shape != other.shape:
        return 0.0
    if row >= len(one) or action >= one.shape[1] or one.shape[1] == 1:
        return 0.0
    added = (other - one)[row]
    others = torch.cat([added[:action], added[action + 1 :]])
    return float(added[action]) if bool((others * added[action] < 0).all()) else 0.0
