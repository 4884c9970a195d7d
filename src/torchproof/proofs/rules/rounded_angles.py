"""Angles of more than one turn do not fit into half precision."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from torchproof.proofs.finding import Finding
from torchproof.proofs.rule import rule
from torchproof.proofs.step.shadows import rounded_turns


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.shadows import Turn

ID = "rounded-angles"
_BOTH = (torch.sin, torch.cos)
_WAVES = {"sin": (torch.sin,), "cos": (torch.cos,), "polar": _BOTH, "exp": _BOTH}


class _Loss(NamedTuple):
    """The angle whose sine or cosine lost most, and what it should have been."""

    turn: Turn
    error: float
    angle: float
    true: float
    bound: float


@rule(
    ID,
    summary="sines and cosines of positions are taken before half precision rounds, not after",
    source="transformers #25681, #29285, #29496; gpt-neox #1003 (rotary embeddings in bfloat16)",
    needs=(),
    severity="error",
)
def rounded_angles(bench: Bench) -> Iterator[Finding]:
    """Position angles keep more digits than bfloat16 and float16 have until their sine is taken.

    Decided by a build, one step and one prediction in which what is computed from integers and
    constants alone is computed once more in float64, from where it is first rounded to half
    precision: the frequencies that ``model.to(bfloat16)`` casts with the weights, the positions, or
    the product of both under autocast. With u half the gap between 1 and the type's next number,
    its numbers below 8 lie at most 8u apart: an angle that is rounded once, within one turn, moves
    by at most 4u, and its sine and cosine by no more. It is an error if the sine or cosine of an
    angle of more than one turn is off by more than 4u. Where the sine is taken first, rounding it
    costs no more than u/2.

    Assumes that what the code computes is what it writes down, without rounding. Angles that
    weights, random numbers, the batch's floating-point numbers or a deep copy have a part in are
    not judged, nor are those too large for float32 (its numbers lie more than u apart there): a
    short batch may show nothing. Skipped if it cannot run while every operation is watched.
    """
    worst: dict[object, _Loss] = {}
    for loss in map(_loss, rounded_turns(bench)):
        place = loss.turn.rounded or loss.turn.location
        if loss.error > loss.bound and (place not in worst or loss.error > worst[place].error):
            worst[place] = loss
    for loss in worst.values():
        yield _finding(loss)


def _loss(turn: Turn) -> _Loss:
    """Find the angle whose sine or cosine lost most, among those that float32 can hold."""
    unit = torch.finfo(turn.dtype).eps / 2
    size = turn.true.abs()
    judged = (size > 2 * math.pi) & (size * torch.finfo(torch.float32).eps <= unit)
    waves = _WAVES[turn.function]
    errors = torch.stack([(wave(turn.angles) - wave(turn.true)).abs() for wave in waves]).amax(0)
    # An angle that overflowed has no sine; two is the farthest that one can be off.
    errors = errors.nan_to_num(nan=2.0).where(judged, 0.0).flatten()
    at = int(errors.argmax())
    angle, true = turn.angles.flatten()[at].item(), turn.true.flatten()[at].item()
    return _Loss(turn, errors[at].item(), angle, true, 4 * unit)


def _finding(loss: _Loss) -> Finding:
    turn, unit = loss.turn, loss.bound / 4
    kind = str(turn.dtype).rpartition(".")[2]
    return Finding(
        ID,
        "error",
        f"Angles are rounded to {kind} before {turn.function}: {loss.angle:.6g} in place of "
        f"{loss.true:.6g}, so that it is off by {loss.error:.2g}; rounding what it returns costs "
        f"{unit / 2:.2g} at most.",
        evidence={
            "type": kind,
            "angle": loss.angle,
            "angle without rounding": loss.true,
            "largest angle": turn.true.abs().max().item(),
            "off by": loss.error,
            "one rounding of an angle within a turn": loss.bound,
        },
        location=turn.rounded or turn.location,
        remedy="cosine = (positions[:, None] * frequencies).cos().to(x.dtype)  # both in float32: "
        "outside autocast, and frequencies that model.to(...) does not cast",
    )
