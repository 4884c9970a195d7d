"""Which way a step takes the parameters: up the gradient or down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.trial import parameters


if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation
    from torchproof.proofs.step.updates import Update

UP, DOWN, UNKNOWN = 1, -1, 0


def way(bench: Bench, seen: Observation) -> int:
    """Return `UP` or `DOWN` for the steps of the optimizers, or for those written by hand.

    Optimizers of torch go down unless they maximise, others where their first update shows it.
    `UNKNOWN` where several do not share one backward pass or do not go the same way, or where they
    leave a model alone: then models may be adversaries.
    """
    used = list({id(each.optimizer): each.optimizer for each in seen.updates}.values())
    if not used:
        return by_hand(bench)
    if len(used) > 1 and len(seen.backwards) > len(seen.trial.losses):
        return UNKNOWN
    held = {id(each) for each in held_by(used)}
    models = seen.trial.trainee.models.values()
    if not all(any(id(each) in held for each in model.parameters()) for model in models):
        return UNKNOWN
    ways = {_way_of(each, seen) for each in used}
    return ways.pop() if len(ways) == 1 else UNKNOWN


def _way_of(optimizer: torch.optim.Optimizer, seen: Observation) -> int:
    maximised = {bool(group.get("maximize")) for group in optimizer.param_groups}
    if len(maximised) > 1:
        return UNKNOWN
    if type(optimizer).__module__.startswith("torch.optim"):
        return UP if maximised == {True} else DOWN
    firsts = (each for each in seen.updates if each.first and each.optimizer is optimizer)
    return next((first_way(each) for each in firsts), UNKNOWN)


def first_way(update: Update) -> int:
    """Return which way all elements moved that an update moved, if it is one and the same."""
    same = sum(move.same for move in update.moves.values())
    opposite = sum(move.opposite for move in update.moves.values())
    return int(same > 0) - int(opposite > 0) if not (same and opposite) else UNKNOWN


def by_hand(bench: Bench) -> int:
    """Return which way all elements moved in a step without an optimizer, if it is the same.

    Decided where each parameter gets one gradient: from its elements before and after the step.
    """
    with bench.trial() as trial:
        gradients: dict[str, list[torch.Tensor]] = {}
        before = trial.state()
        untyped: dict[str, Any] = {**parameters(trial.trainee)}
        handles = [
            each.register_hook(_keep(gradients.setdefault(name, [])))
            for name, each in untyped.items()
            if each.requires_grad
        ]
        trial.step()
        for handle in handles:
            handle.remove()
        after = trial.state()
    if any(len(each) > 1 for each in gradients.values()):
        return UNKNOWN
    return _common(
        gradient[0] * (after[name] - before[name])
        for name, gradient in gradients.items()
        if gradient and after[name].shape == gradient[0].shape
    )


def _keep(where: list[torch.Tensor]) -> Any:
    return lambda gradient: where.append(gradient.detach().clone())


def _common(products: Iterable[torch.Tensor]) -> int:
    kept = list(products)
    up = any(bool((each > 0).any()) for each in kept)
    down = any(bool((each < 0).any()) for each in kept)
    return int(up) - int(down)
