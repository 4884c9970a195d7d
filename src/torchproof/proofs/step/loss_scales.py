"""Whether an update depends on the loss scale, which has to cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from torchproof.proofs.step.events import halved_scales
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.step.updates import watch_updates


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial
    from torchproof.proofs.step.updates import Move, Update

# A power of two rounds nothing but what is almost 0 in a narrow type; what is left is its rounding.
_BOUND = torch.finfo(torch.bfloat16).eps


def dependent_on_scale(bench: Bench) -> dict[str, tuple[float, float]]:
    """Return the parameters whose gradient at the first update changes with the loss scale.

    With each the largest gradient as it is and with half the scale. None do where no GradScaler
    scales, where the optimizer unscales itself, or where a first update comes in another call.
    """
    seen = bench.observation
    scaled = any(each.kind == "backward" and each.facts["scale"] != 1.0 for each in seen.events)
    inside = any(each.kind == "update" and each.facts["unscales"] for each in seen.events)
    if not scaled or inside or bench.reason_against("reproducible"):
        return {}
    here = dict(_first_moves(seen.trial, seen.updates))
    last = max((call for call, _ in here.values()), default=-1)
    with bench.trial() as trial, halved_scales(), watch_updates(trial) as log:
        for _ in range(last + 1):
            trial.step()
        halved = dict(_first_moves(trial, log.updates))
    both = {name: (here[name], halved[name]) for name in here if name in halved}
    if any(one[0] != other[0] for one, other in both.values()):
        return {}
    largest = {name: (one[1].gradient, other[1].gradient) for name, (one, other) in both.items()}
    return {name: each for name, each in largest.items() if _differ(*each)}


def _first_moves(trial: Trial, updates: list[Update]) -> Iterator[tuple[str, tuple[int, Move]]]:
    """Give each parameter's first move with its call."""
    for name, each in parameters(trial.trainee).items():
        for update in updates:
            if id(each) in update.moves:
                yield name, (update.call, update.moves[id(each)])
                break


def _differ(here: float, halved: float) -> bool:
    return abs(here - halved) > _BOUND * max(abs(here), abs(halved))
