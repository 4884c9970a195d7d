"""Backward, unscaling, clipping, update and schedule must come in this order."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parameters.dropped_changes import dropped_changes
from torchproof.proofs.rule import rule
from torchproof.proofs.step.clip_order import (
    changed_too_late,
    clip_of_nothing,
    clip_of_others,
    clip_of_scaled,
    clip_too_late,
    clip_without_gradients,
)
from torchproof.proofs.step.disorder import ID
from torchproof.proofs.step.loss_scales import dependent_on_scale
from torchproof.proofs.step.schedule_order import (
    schedule_first,
    schedule_repeated,
    schedule_while_accumulating,
)
from torchproof.proofs.step.update_order import (
    cleared_in_between,
    never_read,
    update_by_scaled,
    update_first,
)


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.events import Event
    from torchproof.proofs.step.observation import Observation

    Check = Callable[[Observation, list[Event]], Iterator[Finding]]


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
      all the parameters it reaches follows in the call, or in every n-th call, the others having no
      update at all, or on every n-th pass of the call but for the last, which are too few: they are
      cleared in between,
    * an update between a forward pass and its backward pass, in calls that have no other,
    * clipping that finds no gradients and is followed by the backward pass and the update,
    * clipping of gradients that every optimizer concerned has already used,
    * clipping that is given no parameters, as by a generator that is used up, or only tensors that
      have no gradient and that no model holds, no backward pass reaches and no optimizer updates,
    * clipping of gradients that a GradScaler has scaled and not yet unscaled,
    * an update with gradients that a GradScaler has scaled, as the backward pass left them,
    * where nothing of this is found, gradients of the first update that change by more than a
      rounding of bfloat16 if a GradScaler begins with half its scale: something is done to them by
      hand while they are scaled,
    * a scheduler that steps before the first update, when that update follows in the same call,
    * a change to gradients that every update has used and that are cleared before anything reads
      them: clipping by hand that comes too late,
    * where nothing else is found, a copy of a gradient that is clamped, scaled or added to in two
      calls and that nothing reads or keeps: clipping by hand that is not in place,
    * a scheduler that steps several times for one update, always as often, in one call; not once
      for each row or number of the batch, as one does that counts samples, and not if it is told
      where to go to,
    * a scheduler that steps in calls that only accumulate gradients (a warning: its length may be
      counted in calls).

    Assumes that clipping with an infinite limit measures and does not clip. Updates that are given
    a closure count at their end, and torch's own optimizers begin by calling it; what such updates
    find is not looked at. Skipped if the step cannot be watched.
    """
    seen = bench.observation
    checks: tuple[Check, ...] = (
        changed_too_late,
        schedule_repeated,
        cleared_in_between,
        update_first,
        clip_without_gradients,
        clip_too_late,
        clip_of_nothing,
        clip_of_others,
        clip_of_scaled,
        update_by_scaled,
        schedule_first,
        schedule_while_accumulating,
    )
    findings = [found for check in checks for found in islice(check(seen, seen.events), 1)]
    yield from findings
    if not any(each.severity == "error" for each in findings):
        late = list(never_read(seen, seen.events)) or list(_scale_left_over(bench))
        yield from late or _changed_in_copies(bench)


def _changed_in_copies(bench: Bench) -> Iterator[Finding]:
    for line in dropped_changes(bench):
        yield Finding(
            ID,
            "error",
            "Gradients are changed in copies that are thrown away: the update does not see it.",
            evidence={"calls": 2, "copies that were read": 0},
            location=line,
            remedy="p.grad.clamp_(...)  # in place, or p.grad = p.grad.clamp(...)",
        )


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
