"""The order of clearing, backward passes and updates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.step.chronology import (
    backward_after,
    left_over,
    scale_left,
    since_last_update,
    used_later,
    waits_in_vain,
)
from torchproof.proofs.step.disorder import disorder
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import different


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.finding import Finding
    from torchproof.proofs.step.events import Event
    from torchproof.proofs.step.observation import Observation

_CALLS = 2
_BACKWARD_HOOKS = ("_backward_hooks", "_backward_pre_hooks")
_ONCE = "optimizer.zero_grad()  # once for each update, before the first backward()"
_LAST = "if place % steps == 0 or place == last: optimizer.step(); optimizer.zero_grad()"
_WAYS = (
    (used_later, "the update in the same call", _ONCE),
    (waits_in_vain, "the update in a later call", _ONCE),
    (left_over, "each update", _LAST),
)


def cleared_in_between(seen: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find updates whose gradients were cleared behind the backward pass."""
    still = _unmoved(seen)
    updates = [each for each in events if each.kind == "update"]
    for update, done in zip(updates, seen.updates):
        brought = since_last_update(update, events)
        lost = {each for one in brought for each in one.facts["nonzero"]} & update.touched
        left = any(move.gradient for move in done.moves.values())
        # An optimizer may have taken the gradients over in a hook; then it moves something.
        if not lost or left or done.closure or not (done.moves or lost <= still):
            continue
        yield disorder(
            "The gradients are cleared between backward() and optimizer.step(): the update has "
            "nothing to work with.",
            [*brought, update],
            "optimizer.zero_grad(); loss.backward(); optimizer.step()  # in this order",
            at=-1,
        )


def never_read(seen: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find backward passes whose gradients are cleared before anything reads them."""
    modules = [each for model in seen.trial.trainee.models.values() for each in model.modules()]
    if any(vars(each).get(name) for each in modules for name in _BACKWARD_HOOKS):
        return
    passes = [each for each in events if each.kind == "backward"]
    unread = [passes[place] for place in seen.unread]
    for way, update, remedy in _WAYS:
        lost = [each for each in unread if way(each, events)]
        if len({each.call for each in lost}) >= _CALLS:
            yield disorder(
                "The gradients of this backward() are cleared before anything reads them: "
                f"{update} goes without them.",
                [lost[0]],
                remedy,
            )


def update_first(seen: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find updates between a forward pass and its backward pass."""
    updates = [each for each in events if each.kind == "update"]
    closures = {id(each.optimizer) for each in seen.updates if each.closure}
    for optimizer in {id(each.facts["optimizer"]): each for each in updates}.values():
        mine = [each for each in updates if each.facts["optimizer"] is optimizer.facts["optimizer"]]
        late = [backward_after(each, events) for each in mine]
        if id(optimizer.facts["optimizer"]) in closures or not all(late):
            continue
        yield disorder(
            "optimizer.step() comes between the forward pass and its backward(): it cannot use the "
            "gradients of this call.",
            [mine[0], *[each for each in late[:1] if each]],
            "optimizer.zero_grad(); loss.backward(); optimizer.step()  # in this order",
        )


def update_by_scaled(_: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find updates by gradients that are still multiplied by a loss scale."""
    for update in (each for each in events if each.kind == "update"):
        scale = scale_left(update, events)
        if scale != 1.0 and update.facts["as_left"] and not update.facts["unscales"]:
            yield disorder(
                f"The update uses gradients that are still {scale:g} times too large: nobody has "
                f"unscaled them.",
                [update],
                "scaler.step(optimizer); scaler.update()  # in place of optimizer.step()",
            )


def _unmoved(seen: Observation) -> set[int]:
    """Return the ids of the parameters that are as they were before the first call."""
    moved = different(seen.before, seen.after)
    return {id(each) for name, each in parameters(seen.trial.trainee).items() if name not in moved}
