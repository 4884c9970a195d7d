"""The order of schedulers and optimizers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torchproof.proofs.step.chronology import last_before, of_call, repeated_schedules
from torchproof.proofs.step.disorder import disorder


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.finding import Finding
    from torchproof.proofs.step.events import Event
    from torchproof.proofs.step.observation import Observation


def schedule_first(_: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find a scheduler that steps before the first update of its call."""
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
        yield disorder(
            "scheduler.step() comes before the first optimizer.step(): the first value of the "
            "schedule is never used.",
            [first, follows[0]],
            "optimizer.step(); scheduler.step()  # in this order",
        )


def schedule_repeated(seen: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find a scheduler that steps several times for each update."""
    sizes = {size for each in seen.trial.given.values() for size in (each.numel(), *each.shape[:1])}
    for steps in repeated_schedules(events):
        passes = of_call(steps[0], events, ("backward",))
        if len(steps) in sizes and len(steps) != len(passes):
            continue
        yield disorder(
            f"The scheduler steps {len(steps)} times for one update: the schedule runs that many "
            f"times too fast, and most of its values are never used.",
            steps,
            "scheduler.step()  # once behind optimizer.step(), not for each micro-batch or process",
        )


def schedule_while_accumulating(_: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find a scheduler that steps in calls without an update."""
    schedules = [each for each in events if each.kind == "schedule"]
    idle = [each for each in schedules if not of_call(each, events, ("update", "unscale"))]
    updates = [each for each in events if each.kind == "update" and idle]
    if any(update.touched & idle[0].touched for update in updates):
        yield replace(
            disorder(
                f"The scheduler steps {len(schedules)} times for {len(updates)} updates: it counts "
                f"calls that only accumulate gradients.",
                [idle[0]],
                "scheduler.step()  # only where optimizer.step() is called",
            ),
            severity="warning",
        )
