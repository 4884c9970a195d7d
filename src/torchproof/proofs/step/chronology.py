"""What came before and after an event of a step, for the same parameters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Optional


if TYPE_CHECKING:
    from torchproof.proofs.step.events import Event

_UPDATES = 2


def last_before(kind: str, event: Event, events: list[Event]) -> Optional[Event]:
    """Return the last event of a kind before another that concerns the same parameters."""
    before = events[: _place(event, events)]
    same = [each for each in before if each.kind == kind and each.touched & event.touched]
    return same[-1] if same else None


def scale_left(event: Event, events: list[Event]) -> float:
    """Return what the gradients that an event finds are still multiplied by."""
    backward = last_before("backward", event, events)
    unscaled = last_before("unscale", event, events)
    if backward is None:
        return 1.0
    undone = unscaled is not None and _place(unscaled, events) > _place(backward, events)
    scale: float = backward.facts["scale"]
    return 1.0 if undone else scale


def of_call(event: Event, events: list[Event], kinds: tuple[str, ...]) -> list[Event]:
    """Return the events of these kinds in the same call that concern the same parameters."""
    same = [each for each in events if each.call == event.call and each.kind in kinds]
    return [each for each in same if each.touched & event.touched]


def since_last_update(update: Event, events: list[Event]) -> list[Event]:
    """Return the backward passes in this call that this update should have used."""
    found: list[Event] = []
    for each in reversed(events[: _place(update, events)]):
        if each.call != update.call or (
            each.kind == "update" and each.facts["optimizer"] is update.facts["optimizer"]
        ):
            break
        if each.kind == "backward" and each.touched & update.touched:
            found.append(each)
    return found


def backward_after(update: Event, events: list[Event]) -> Optional[Event]:
    """Return the backward pass behind an update whose forward pass lies before it, if so."""
    call = [each for each in events if each.call == update.call and each.touched & update.touched]
    place = _place(update, call)
    before, after = call[:place], call[place + 1 :]
    if any(each.kind == "backward" for each in before) or not any(
        each.kind == "forward" for each in before
    ):
        return None
    if any(each.kind in ("update", "forward") for each in after):
        return None
    return next((each for each in after if each.kind == "backward"), None)


def used_unclipped(clip: Event, events: list[Event]) -> bool:
    """Tell whether gradients are made and used, and not clipped, behind this clipping."""
    kinds = [
        each.kind
        for each in events[_place(clip, events) + 1 :]
        if each.call == clip.call and each.touched & clip.touched
    ]
    made = "backward" in kinds and "update" in kinds[kinds.index("backward") :]
    return made and "clip" not in kinds


def used_later(backward: Event, events: list[Event]) -> bool:
    """Tell whether all that a backward pass reaches is updated behind it in the same call."""
    after = events[_place(backward, events) + 1 :]
    updates = [each for each in after if each.kind == "update" and each.call == backward.call]
    return backward.touched <= {key for each in updates for key in each.touched}


def waits_in_vain(backward: Event, events: list[Event]) -> bool:
    """Tell whether a backward pass lies in a call without updates, as every n-th has them all.

    The calls with an update have to be the n-th, 2n-th and so on, as where gradients are to be
    accumulated, and to update all that the backward pass reaches.
    """
    updates = [each for each in events if each.kind == "update"]
    calls = sorted({each.call for each in updates})
    if len(calls) < _UPDATES or backward.call in calls:
        return False
    if calls != list(range(calls[0], events[-1].call + 1, calls[0] + 1)):
        return False
    return all(backward.touched <= _updated_in(call, updates) for call in calls)


def left_over(backward: Event, events: list[Event]) -> bool:
    """Tell whether a backward pass is one too many for the updates of its call.

    An update follows on every n-th pass of the call, n being 2 or more, but for the last passes:
    they are fewer than n, and this is one of them.
    """
    mine = of_call(backward, events, ("backward", "update"))
    ends = [place for place, each in enumerate(mine) if each.kind == "update"]
    runs = [end - begin - 1 for begin, end in zip([-1, *ends], ends)]
    rest = mine[ends[-1] + 1 :] if ends else []
    reached = {key for place in ends for key in mine[place].touched}
    regular = len(set(runs)) == 1 and runs[0] > max(1, len(rest))
    return regular and any(each is backward for each in rest) and backward.touched <= reached


def _updated_in(call: int, updates: list[Event]) -> set[int]:
    return {key for each in updates if each.call == call for key in each.touched}


def already_used(clip: Event, events: list[Event]) -> bool:
    """Tell whether every optimizer concerned has stepped since the last backward pass."""
    before = events[: _place(clip, events)]
    passes = [each for each in before if each.kind == "backward" and each.touched & clip.touched]
    if not passes:
        return False
    last = _place(passes[-1], before)
    ended = [
        each
        for place, each in enumerate(before)
        if each.kind == "update" and last <= place + each.facts["inside"][0] < len(before)
    ]
    used = {key for each in ended for key in each.touched}
    return passes[-1].touched & clip.touched <= used


def repeated_schedules(events: list[Event]) -> list[list[Event]]:
    """Return the steps of each scheduler that always come several at a time, and their number.

    A run are steps of one call with no update of the same parameters between them. Steps that are
    told where to go to (an epoch, a loss) do not count. Each run has to be of the same length and
    has to come with an update in its call.
    """
    steps = [each for each in events if each.kind == "schedule" and not each.facts["given"]]
    found = []
    for scheduler in {id(each.facts["scheduler"]) for each in steps}:
        mine = [each for each in steps if id(each.facts["scheduler"]) == scheduler]
        runs = _runs(mine, events)
        alike = len({len(run) for run in runs}) == 1 and len(runs[0]) > 1
        if alike and len(runs) > 1 and all(of_call(run[0], events, ("update",)) for run in runs):
            found.append(runs[0])
    return found


def _runs(steps: list[Event], events: list[Event]) -> list[list[Event]]:
    runs: list[list[Event]] = []
    for each in steps:
        last = runs[-1][-1] if runs else None
        if last is not None and last.call == each.call and not _updated(last, each, events):
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def _updated(first: Event, last: Event, events: list[Event]) -> bool:
    between = events[_place(first, events) : _place(last, events)]
    return any(each.kind == "update" and each.touched & first.touched for each in between)


def limits(event: Event) -> bool:
    """Tell whether an event is a clipping that has a limit; without, it measures."""
    return event.kind == "clip" and math.isfinite(event.facts["limit"])


def _place(event: Event, events: list[Event]) -> int:
    return next(place for place, each in enumerate(events) if each is event)
