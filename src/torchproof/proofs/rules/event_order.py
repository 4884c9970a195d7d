"""Backward, unscaling, clipping, update and schedule must come in this order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torchproof.proofs.bits import different
from torchproof.proofs.chronology import (
    already_used,
    backward_after,
    last_before,
    limits,
    of_call,
    scale_left,
    since_last_update,
    used_unclipped,
)
from torchproof.proofs.finding import Finding
from torchproof.proofs.rule import rule
from torchproof.proofs.trial import parameters


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.events import Event
    from torchproof.proofs.observation import Observation

    Check = Callable[[Observation, list[Event]], Iterator[Finding]]

ID = "event-order"


@rule(
    ID,
    summary="backward, unscale, clip, optimizer step and scheduler step come in this order",
    source="PyTorch documentation of torch.amp and torch.optim; TrainCheck, OSDI 2025",
    needs=("observation",),
    severity="error",
)
def event_order(bench: Bench) -> Iterator[Finding]:
    """Each thing a training step does comes where it has an effect.

    Decided from the order in which things happened to the same parameters, in every call of the
    step in which they happened:

    * an update that finds all gradients cleared although a backward pass has brought some,
    * an update between a forward pass and its backward pass, in calls that have no other,
    * clipping that finds no gradients and is followed by the backward pass and the update,
    * clipping of gradients that every optimizer concerned has already used,
    * clipping that is given no parameters, as by a generator that is used up,
    * clipping of gradients that a GradScaler has scaled and not yet unscaled,
    * an update with gradients that a GradScaler has scaled, as the backward pass left them,
    * a scheduler that steps before the first update, when that update follows in the same call,
    * a scheduler that steps in calls that only accumulate gradients (a warning: its length may be
      counted in calls).

    Assumes that clipping with an infinite limit measures and does not clip. Optimizers that are
    given a closure are passed over. Skipped if the step cannot be watched.
    """
    seen = bench.observation
    checks: tuple[Check, ...] = (
        _cleared,
        _update_first,
        _clip_without_gradients,
        _clip_too_late,
        _clip_of_nothing,
        _clip_of_scaled,
        _update_by_scaled,
        _schedule_first,
        _schedule_while_accumulating,
    )
    for check in checks:
        found = next(check(seen, seen.events), None)
        if found is not None:
            yield found


def _cleared(seen: Observation, events: list[Event]) -> Iterator[Finding]:
    still = _unmoved(seen)
    updates = [each for each in events if each.kind == "update"]
    for update, done in zip(updates, seen.updates):
        brought = since_last_update(update, events)
        lost = {each for one in brought for each in one.facts["nonzero"]} & update.touched
        left = any(move.gradient for move in done.moves.values())
        # An optimizer may have taken the gradients over in a hook; then it moves something.
        if not lost or left or done.closure or not (done.moves or lost <= still):
            continue
        yield _finding(
            "The gradients are cleared between backward() and optimizer.step(): the update has "
            "nothing to work with.",
            [*brought, update],
            "optimizer.zero_grad(); loss.backward(); optimizer.step()  # in this order",
            at=-1,
        )


def _update_first(seen: Observation, events: list[Event]) -> Iterator[Finding]:
    updates = [each for each in events if each.kind == "update"]
    closures = {id(each.optimizer) for each in seen.updates if each.closure}
    for optimizer in {id(each.facts["optimizer"]): each for each in updates}.values():
        mine = [each for each in updates if each.facts["optimizer"] is optimizer.facts["optimizer"]]
        late = [backward_after(each, events) for each in mine]
        if id(optimizer.facts["optimizer"]) in closures or not all(late):
            continue
        yield _finding(
            "optimizer.step() comes between the forward pass and its backward(): it cannot use the "
            "gradients of this call.",
            [mine[0], *[each for each in late[:1] if each]],
            "optimizer.zero_grad(); loss.backward(); optimizer.step()  # in this order",
        )


def _clip_without_gradients(_: Observation, events: list[Event]) -> Iterator[Finding]:
    clips = [each for each in events if each.kind == "clip"]
    early = [each for each in clips if each.facts["empty"] and used_unclipped(each, events)]
    if early and len(early) == len(clips):
        yield _finding(
            "Gradients are clipped before backward() has made them: nothing is clipped.",
            [early[0]],
            "loss.backward(); clip_grad_norm_(...); optimizer.step()  # in this order",
        )


def _clip_too_late(_: Observation, events: list[Event]) -> Iterator[Finding]:
    clips = [each for each in events if limits(each) and not each.facts["empty"]]
    late = [each for each in clips if already_used(each, events)]
    if late and len(late) == len(clips):
        yield _finding(
            "Gradients are clipped after optimizer.step() has used them: nothing is clipped.",
            [late[0]],
            "loss.backward(); clip_grad_norm_(...); optimizer.step()  # in this order",
        )


def _clip_of_nothing(_: Observation, events: list[Event]) -> Iterator[Finding]:
    clips = [each for each in events if each.kind == "clip"]
    updates = [each for each in events if each.kind == "update"]
    if clips and updates and all(each.facts["nothing"] for each in clips):
        yield _finding(
            "Gradients are clipped of no parameters at all: a generator like model.parameters() "
            "gives them once only, here to somebody else.",
            [clips[0]],
            "parameters = list(model.parameters())",
        )


def _update_by_scaled(_: Observation, events: list[Event]) -> Iterator[Finding]:
    for update in (each for each in events if each.kind == "update"):
        scale = scale_left(update, events)
        if scale != 1.0 and update.facts["as_left"] and not update.facts["unscales"]:
            yield _finding(
                f"The update uses gradients that are still {scale:g} times too large: nobody has "
                f"unscaled them.",
                [update],
                "scaler.step(optimizer); scaler.update()  # in place of optimizer.step()",
            )


def _clip_of_scaled(_: Observation, events: list[Event]) -> Iterator[Finding]:
    for clip in (each for each in events if limits(each)):
        scale = scale_left(clip, events)
        if scale != 1.0:
            backward = last_before("backward", clip, events)
            yield _finding(
                f"Gradients are clipped while they are still {scale:g} times too large: the limit "
                f"applies to the scaled gradients.",
                [each for each in (backward, clip) if each],
                "scaler.unscale_(optimizer)  # before clip_grad_norm_",
                at=-1,
            )


def _schedule_first(_: Observation, events: list[Event]) -> Iterator[Finding]:
    first = next((each for each in events if each.kind == "schedule"), None)
    if first is None or not first.touched or last_before("update", first, events) is not None:
        return
    place = events.index(first)
    follows = [
        each
        for each in events[place:]
        if each.kind == "update" and each.call == first.call and each.touched & first.touched
    ]
    if follows:
        yield _finding(
            "scheduler.step() comes before the first optimizer.step(): the first value of the "
            "schedule is never used.",
            [first, follows[0]],
            "optimizer.step(); scheduler.step()  # in this order",
        )


def _schedule_while_accumulating(_: Observation, events: list[Event]) -> Iterator[Finding]:
    schedules = [each for each in events if each.kind == "schedule"]
    idle = [each for each in schedules if not of_call(each, events, ("update", "unscale"))]
    updates = [each for each in events if each.kind == "update" and idle]
    if any(update.touched & idle[0].touched for update in updates):
        yield replace(
            _finding(
                f"The scheduler steps {len(schedules)} times for {len(updates)} updates: it counts "
                f"calls that only accumulate gradients.",
                [idle[0]],
                "scheduler.step()  # only where optimizer.step() is called",
            ),
            severity="warning",
        )


def _unmoved(seen: Observation) -> set[int]:
    """Return the ids of the parameters that are as they were before the first call."""
    moved = different(seen.before, seen.after)
    return {id(each) for name, each in parameters(seen.trial.trainee).items() if name not in moved}


def _finding(message: str, events: list[Event], remedy: str, at: int = 0) -> Finding:
    """Report what was seen in these events; ``at`` is the one whose line is to blame."""
    return Finding(
        ID,
        "error",
        message,
        evidence={
            "order seen": ", ".join(each.kind for each in events),
            "lines": ", ".join(each.location or "not known" for each in events),
            "call": events[-1].call,
        },
        location=events[at].location,
        remedy=remedy,
    )
