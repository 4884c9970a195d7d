"""The order of clipping, backward passes and updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from torchproof.proofs.finding import Finding
from torchproof.proofs.step.chronology import (
    already_used,
    last_before,
    limits,
    scale_left,
    used_unclipped,
)
from torchproof.proofs.step.disorder import ID, disorder
from torchproof.proofs.step.trial import parameters


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.step.events import Event
    from torchproof.proofs.step.observation import Observation
    from torchproof.proofs.step.spent_gradients import Rewrite

_CALLS = 2


def clip_without_gradients(_: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find clipping that comes before the gradients are there."""
    clips = [each for each in events if each.kind == "clip"]
    early = [each for each in clips if each.facts["empty"] and used_unclipped(each, events)]
    if early and len(early) == len(clips):
        yield disorder(
            "Gradients are clipped before backward() has made them: nothing is clipped.",
            [early[0]],
            "loss.backward(); clip_grad_norm_(...); optimizer.step()  # in this order",
        )


def clip_too_late(_: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find clipping of gradients that every optimizer concerned has used."""
    clips = [each for each in events if limits(each) and not each.facts["empty"]]
    late = [each for each in clips if already_used(each, events)]
    if late and len(late) == len(clips):
        yield disorder(
            "Gradients are clipped after optimizer.step() has used them: nothing is clipped.",
            [late[0]],
            "loss.backward(); clip_grad_norm_(...); optimizer.step()  # in this order",
        )


def clip_of_nothing(_: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find clipping that is given no parameters."""
    clips = [each for each in events if each.kind == "clip"]
    updates = [each for each in events if each.kind == "update"]
    if clips and updates and all(each.facts["nothing"] for each in clips):
        yield disorder(
            "Gradients are clipped of no parameters at all: a generator like model.parameters() "
            "gives them once only, here to somebody else.",
            [clips[0]],
            "parameters = list(model.parameters())",
        )


def clip_of_others(seen: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find clipping of tensors without gradients that are nobody's parameters."""
    clips = [each for each in events if each.kind == "clip"]
    known = {id(each) for each in parameters(seen.trial.trainee).values()}
    known |= {key for each in events if each.kind != "clip" for key in each.touched}
    vain = [each for each in clips if each.facts["empty"] and each.touched.isdisjoint(known)]
    vain = [each for each in vain if not each.facts["nothing"]]
    updated = any(each.kind == "update" for each in events)
    if vain and len(vain) == len(clips) and updated:
        yield disorder(
            "Gradients are clipped of tensors that have none and that nothing trains: copies of "
            "the parameters, their data, or another model's.",
            [vain[0]],
            "clip_grad_norm_(model.parameters(), ...)  # the parameters themselves",
        )


def clip_of_scaled(_: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find clipping of gradients that are still multiplied by a loss scale."""
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


def changed_too_late(seen: Observation, events: list[Event]) -> Iterator[Finding]:
    """Find changes to gradients that are used already and that nothing reads."""
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
