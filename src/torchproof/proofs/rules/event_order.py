"""Backward, unscaling, clipping, update and schedule must come in this order."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Optional

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.rule import rule
from torchproof.proofs.step.chronology import (
    already_used,
    backward_after,
    last_before,
    limits,
    scale_left,
    since_last_update,
    used_later,
    used_unclipped,
)
from torchproof.proofs.step.loss_scales import dependent_on_scale
from torchproof.proofs.step.schedule_order import (
    ID,
    disorder,
    schedule_first,
    schedule_repeated,
    schedule_while_accumulating,
)
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import different


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.events import Event
    from torchproof.proofs.step.observation import Observation
    from torchproof.proofs.step.spent_gradients import Rewrite

    Check = Callable[[Observation, list[Event]], Iterator[Finding]]

_CALLS = 2
_BACKWARD_HOOKS = ("_backward_hooks", "_backward_pre_hooks")


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
    * a backward pass in two calls or more whose gradients nothing ever reads, although an update of
      all the parameters it reaches follows in the call: they are cleared in between,
    * an update between a forward pass and its backward pass, in calls that have no other,
    * clipping that finds no gradients and is followed by the backward pass and the update,
    * clipping of gradients that every optimizer concerned has already used,
    * clipping that is given no parameters, as by a generator that is used up,
    * clipping of gradients that a GradScaler has scaled and not yet unscaled,
    * an update with gradients that a GradScaler has scaled, as the backward pass left them,
    * where nothing of this is found, gradients of the first update that change by more than a
      rounding of bfloat16 if a GradScaler begins with half its scale: something is done to them by
      hand while they are scaled,
    * a scheduler that steps before the first update, when that update follows in the same call,
    * a change to gradients that every update has used and that are cleared before anything reads
      them: clipping by hand that comes too late,
    * a scheduler that steps several times for one update, always as often, in one call; not once
      for each row or number of the batch, as one does that counts samples, and not if it is told
      where to go to,
    * a scheduler that steps in calls that only accumulate gradients (a warning: its length may be
      counted in calls).

    Assumes that clipping with an infinite limit measures and does not clip. Optimizers that are
    given a closure are passed over. Skipped if the step cannot be watched.
    """
    seen = bench.observation
    checks: tuple[Check, ...] = (
        _changed_too_late,
        schedule_repeated,
        _cleared,
        _update_first,
        _clip_without_gradients,
        _clip_too_late,
        _clip_of_nothing,
        _clip_of_scaled,
        _update_by_scaled,
        schedule_first,
        schedule_while_accumulating,
    )
    findings = [found for check in checks for found in islice(check(seen, seen.events), 1)]
    findings = findings or list(_never_read(seen, seen.events))
    yield from findings or _scale_left_over(bench)


def _scale_left_over(bench: Bench) -> Iterator[Finding]:
    dependent = dependent_on_scale(bench)
    if not dependent:
        return
    here, halved = next(iter(dependent.values()))
    first = next(each for each in bench.observation.events if each.kind == "unscale")
    yield Finding(
        ID,
        "error",
        f"The update depends on the loss scale: {listed(list(dependent))} get another gradient "
        f"with half of it. Gradients are changed while they are still scaled.",
        evidence={"largest gradient": here, "with half the loss scale": halved},
        location=first.location,
        remedy="scaler.unscale_(optimizer)  # before gradients are clipped or changed",
    )


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
        yield disorder(
            "The gradients are cleared between backward() and optimizer.step(): the update has "
            "nothing to work with.",
            [*brought, update],
            "optimizer.zero_grad(); loss.backward(); optimizer.step()  # in this order",
            at=-1,
        )


def _never_read(seen: Observation, events: list[Event]) -> Iterator[Finding]:
    modules = [each for model in seen.trial.trainee.models.values() for each in model.modules()]
    if any(vars(each).get(name) for each in modules for name in _BACKWARD_HOOKS):
        return
    passes = [each for each in events if each.kind == "backward"]
    lost = [passes[place] for place in seen.unread if used_later(passes[place], events)]
    if len({each.call for each in lost}) >= _CALLS:
        yield disorder(
            "The gradients of this backward() are cleared before anything reads them: the update "
            "in the same call goes without them.",
            [lost[0]],
            "optimizer.zero_grad()  # once for each update, before the first backward()",
        )


def _update_first(seen: Observation, events: list[Event]) -> Iterator[Finding]:
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


def _clip_without_gradients(_: Observation, events: list[Event]) -> Iterator[Finding]:
    clips = [each for each in events if each.kind == "clip"]
    early = [each for each in clips if each.facts["empty"] and used_unclipped(each, events)]
    if early and len(early) == len(clips):
        yield disorder(
            "Gradients are clipped before backward() has made them: nothing is clipped.",
            [early[0]],
            "loss.backward(); clip_grad_norm_(...); optimizer.step()  # in this order",
        )


def _clip_too_late(_: Observation, events: list[Event]) -> Iterator[Finding]:
    clips = [each for each in events if limits(each) and not each.facts["empty"]]
    late = [each for each in clips if already_used(each, events)]
    if late and len(late) == len(clips):
        yield disorder(
            "Gradients are clipped after optimizer.step() has used them: nothing is clipped.",
            [late[0]],
            "loss.backward(); clip_grad_norm_(...); optimizer.step()  # in this order",
        )


def _changed_too_late(seen: Observation, events: list[Event]) -> Iterator[Finding]:
    clips = {(each.call, each.location) for each in events if each.kind == "clip"}
    by_line: dict[Optional[str], list[Rewrite]] = {}
    for each in seen.rewrites:
        if (each.call, each.location) not in clips:
            by_line.setdefault(each.location, []).append(each)
    for line, several in by_line.items():
        calls = {each.call for each in several}
        if len(calls) < _CALLS or not all(each.lost for each in several):
            continue
        yield Finding(
            ID,
            "error",
            "Gradients are changed after optimizer.step() has used them, and cleared before the "
            "next backward(): the change is lost.",
            evidence={"changes lost": len(several), "calls": len(calls)},
            location=line,
            remedy="loss.backward(); p.grad.clamp_(...); optimizer.step()  # in this order",
        )


def _clip_of_nothing(_: Observation, events: list[Event]) -> Iterator[Finding]:
    clips = [each for each in events if each.kind == "clip"]
    updates = [each for each in events if each.kind == "update"]
    if clips and updates and all(each.facts["nothing"] for each in clips):
        yield disorder(
            "Gradients are clipped of no parameters at all: a generator like model.parameters() "
            "gives them once only, here to somebody else.",
            [clips[0]],
            "parameters = list(model.parameters())",
        )


def _update_by_scaled(_: Observation, events: list[Event]) -> Iterator[Finding]:
    for update in (each for each in events if each.kind == "update"):
        scale = scale_left(update, events)
        if scale != 1.0 and update.facts["as_left"] and not update.facts["unscales"]:
            yield disorder(
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
            yield disorder(
                f"Gradients are clipped while they are still {scale:g} times too large: the limit "
                f"applies to the scaled gradients.",
                [each for each in (backward, clip) if each],
                "scaler.unscale_(optimizer)  # before clip_grad_norm_",
                at=-1,
            )


def _unmoved(seen: Observation) -> set[int]:
    """Return the ids of the parameters that are as they were before the first call."""
    moved = different(seen.before, seen.after)
    return {id(each) for name, each in parameters(seen.trial.trainee).items() if name not in moved}
