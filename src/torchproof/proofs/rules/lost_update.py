"""An update must change what it updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torchproof.proofs.bench import CALLS
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.prediction.promoted import SHRINKS, Promoted, promoted
from torchproof.proofs.rule import rule
from torchproof.proofs.step.trial import parameters


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation
    from torchproof.proofs.step.updates import Move

ID = "lost-update"
_UPDATES = 2


class _Lost(NamedTuple):
    name: str
    moves: list[Move]
    still: int
    elements: int


@rule(
    ID,
    summary="an optimizer step with gradients changes the bits of the parameters",
    source="Zamirai et al., Revisiting BFloat16 Training (2020); torchtest (2018)",
    needs=("updates",),
    severity="error",
)
def lost_update(bench: Bench) -> Iterator[Finding]:
    """Elements that have a gradient change their bits by at least one update.

    Decided by comparing the bits of each parameter right before and behind each optimizer step:

    * a learning rate of 0 at three updates or more: an error if it holds for everything that the
      step updates; a warning for some groups only, or if a scheduler that the step does not call
      holds it there (warm-up).
    * most elements of the model keep their bits at every update: the step runs once more in
      float64. If the same gradients appear there and the elements move, the update was lost in the
      rounding of the parameters' type (error); if they do not move either, the optimizer changes
      nothing (error). Gradients that vanish in float64 were rounding noise. Single tensors that
      are lost are a warning.

    Assumes that no optimizer means to leave elements with a gradient as they are at every update.
    Optimizers that are given a closure are passed over. Skipped if fewer than two optimizer steps
    were seen.
    """
    seen = bench.observation
    known = _known(seen)
    rateless = [each for each in known if _no_rate(each)]
    if rateless:
        everything = len(rateless) == len(known) and not _warming_up(seen)
        yield _without_rate(seen, rateless, everything=everything)
    known = [each for each in known if not _no_rate(each)]
    lost = [each for each in known if 2 * each.still > each.elements]
    if not lost:
        return
    wide = promoted(bench)
    real = [each for each in lost if wide is not None and _real(each, wide)]
    if wide is None or not real:
        return
    still, elements = sum(each.still for each in known), sum(each.elements for each in known)
    rounding = all(wide.moved(each.name) for each in real)
    mostly = 2 * sum(each.still for each in real) > elements
    yield _in_rounding(seen, real, still / elements, rounding=rounding, mostly=mostly)


def _known(seen: Observation) -> list[_Lost]:
    """Return, for each parameter with a gradient at every update, how much of it never moved."""
    found = []
    for name, each in parameters(seen.trial.trainee).items():
        updates = [update.moves[id(each)] for update in seen.updates if id(each) in update.moves]
        moves = [move for move in updates if move.elements]
        if len(moves) < _UPDATES or len(moves) < len(updates):
            continue
        pushed, changed = seen.marks[id(each)]
        found.append(_Lost(name, moves, int((pushed & ~changed).sum()), int(pushed.sum())))
    return found


def _no_rate(lost: _Lost) -> bool:
    silent = lost.still == lost.elements
    return silent and len(lost.moves) >= CALLS and all(move.rate == 0.0 for move in lost.moves)


def _warming_up(seen: Observation) -> bool:
    """Tell whether a scheduler that is stepped elsewhere has set the rate."""
    groups = [group for update in seen.updates for group in update.optimizer.param_groups]
    scheduled = any(group.get("initial_lr", 0.0) for group in groups)
    return scheduled and not any(event.kind == "schedule" for event in seen.events)


def _real(lost: _Lost, wide: Promoted) -> bool:
    """Tell a gradient from rounding noise, which is gone in float64."""
    here = max(move.gradient for move in lost.moves)
    return wide.gradient(lost.name) >= here * SHRINKS


def _without_rate(seen: Observation, lost: list[_Lost], *, everything: bool) -> Finding:
    names = [each.name for each in lost]
    return Finding(
        ID,
        "error" if everything else "warning",
        f"The learning rate is 0 at every update of {listed(names)}: gradients arrive and nothing "
        f"is learned.",
        evidence={
            "updates": len(lost[0].moves),
            "learning rate": 0.0,
            "largest gradient": max(move.gradient for each in lost for move in each.moves),
        },
        location=seen.steps[0].location if seen.steps else None,
        remedy="lr > 0, or requires_grad_(False) and out of the optimizer if it is meant",
    )


def _in_rounding(
    seen: Observation, lost: list[_Lost], share: float, *, rounding: bool, mostly: bool
) -> Finding:
    names = [each.name for each in lost]
    dtype = str(parameters(seen.trial.trainee)[names[0]].dtype).rpartition(".")[2]
    sentence = (
        f"The updates of {listed(names)} are lost: they are smaller than half the spacing of the "
        f"numbers in {dtype}, so that the bits never change."
        if rounding
        else f"The optimizer steps, but {listed(names)} keep their bits in every precision."
    )
    return Finding(
        ID,
        "error" if mostly else "warning",
        sentence,
        evidence={
            "elements that never change": f"{100 * share:.0f} % of the model",
            "updates": len(lost[0].moves),
            "learning rate": lost[0].moves[-1].rate,
            "largest gradient": max(move.gradient for each in lost for move in each.moves),
        },
        location=seen.steps[0].location if seen.steps else None,
        remedy="keep the parameters in float32 and use torch.autocast for the arithmetic"
        if rounding and "float32" not in dtype
        else "check the learning rate, and that the optimizer writes to the model's own tensors",
    )
