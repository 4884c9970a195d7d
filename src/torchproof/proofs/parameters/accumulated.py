"""Gradients that several backward passes add up for one update, and what is done to them after."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import same


if TYPE_CHECKING:
    from torch.optim import Optimizer

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.events import Event
    from torchproof.proofs.step.observation import Observation


class Shares(NamedTuple):
    """So many backward passes for one update, each from a share of its loss, and their line."""

    number: int
    location: Optional[str]


def divided_twice(bench: Bench) -> Optional[Shares]:
    """Return the passes that begin at 1/n of their loss, n in all, if the sum is divided by n too.

    The loss of a pass is what the step returns in its call, or the one of torch's mean losses that
    the call computes for it. The gradients of the update that follows have to be, bit by bit, what
    the passes left, divided by n.
    """
    seen = bench.observation
    update = next((each for each in seen.events if each.kind == "update"), None)
    passes = _before(update, seen.events) if update is not None else []
    number = len(passes)
    one_line = len({each.location for each in passes}) == 1
    if update is None or number <= 1 or not one_line or not _are_shares(seen, passes):
        return None
    if not _divided(bench, update.call + 1, number):
        return None
    return Shares(number, passes[0].location)


def _before(update: Event, events: list[Event]) -> list[Event]:
    place = next(place for place, each in enumerate(events) if each is update)
    passes = [each for each in events[:place] if each.kind == "backward"]
    return [each for each in passes if each.touched & update.touched]


def _are_shares(seen: Observation, passes: list[Event]) -> bool:
    bound = 2 * torch.finfo(torch.float32).eps
    wholes = _wholes(seen, passes)
    roots = [each.facts["root"] for each in passes]
    if len(wholes) != len(passes) or None in roots or not any(roots):
        return False
    pairs = zip(roots, wholes)
    return all(isclose(root * len(passes), whole, rel_tol=bound) for root, whole in pairs)


def _wholes(seen: Observation, passes: list[Event]) -> list[float]:
    """Return the loss of each pass; empty if it is not known."""
    calls = [each.call for each in passes]
    if len(set(calls)) == len(calls):
        return [seen.trial.losses[call] for call in calls]
    means = [each for each in seen.losses if each.call in calls and each.reduction == "mean"]
    return [each.result for each in means if each.result is not None]


def _divided(bench: Bench, calls: int, number: int) -> bool:
    """Tell whether the first update finds all gradients divided by a number, bit by bit."""
    left: dict[int, torch.Tensor] = {}
    found: list[bool] = []

    def compare(optimizer: Optimizer) -> None:
        if found:
            return
        held = [(each.grad, left.get(id(each))) for each in held_by([optimizer])]
        pairs = [(now, was) for now, was in held if now is not None and was is not None]
        found.append(bool(pairs) and all(_is_part(now, was, number) for now, was in pairs))

    def keep(parameter: torch.Tensor) -> None:
        if parameter.grad is not None:
            left[id(parameter)] = parameter.grad.detach().clone()

    with bench.trial() as trial, optimizer_hooks(before=compare):
        for each in parameters(trial.trainee).values():
            if each.requires_grad:
                untyped: Any = each
                untyped.register_post_accumulate_grad_hook(keep)
        for _ in range(calls):
            trial.step()
    return found[:1] == [True]


def _is_part(now: torch.Tensor, was: torch.Tensor, number: int) -> bool:
    return same(now.detach(), was / number) or same(now.detach(), was * (1 / number))
