"""Training must lower the loss, not raise it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from torchproof.proofs.advantages import pushes
from torchproof.proofs.finding import Finding
from torchproof.proofs.rule import rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.events import Event
    from torchproof.proofs.observation import Observation
    from torchproof.proofs.updates import Update

ID = "uphill-update"
_STANDARD = (
    *("NllLoss", "NllLoss2D", "NllLossNd", "BinaryCrossEntropyWithLogits", "BinaryCrossEntropy"),
    *("MseLoss", "SmoothL1Loss", "HuberLoss", "CrossEntropyLoss", "SoftMarginLoss"),
)
_SCALES = ("Mul", "Div", "Mean", "Sum")


@rule(
    ID,
    summary="the update goes down the gradient of the loss that the step returns",
    source="Humbatova et al., ICSE 2020 (wrong loss calculation); PyTorch's maximize=True",
    needs=("updates",),
    severity="error",
)
def uphill_update(bench: Bench) -> Iterator[Finding]:
    """The first update lowers the loss, as far as the gradient can say.

    Decided from the first update of each optimizer, when it has no momentum yet, and from the value
    that backward starts at. An error if that value is one of torch's losses (mean squared error,
    cross-entropy, ...) and

    * every element that moves goes the way of its gradient: the loss is maximised, or
    * the step returns such a loss and backward starts, in every call, at its negative, or
    * the only model's step returns a negative of its own making (``loss = -log_prob.mean()``) that
      is positive and backward starts, in every call, at the negative of that, or
    * the only backward pass of the only model starts, in every call, at the negative of one.

    A policy is judged by what the batch calls advantage, reward or return: that of one row is
    raised while the loss is given the same logits. An error if what this adds to the gradient makes
    the first update lower the logit of the row's action and raise all others.

    Assumes that one of torch's losses alone, not a sum with other terms, is there to become small,
    and that actions of a larger advantage are to become likelier. Other adversarial and
    reinforcement-learning objectives are not judged, so ``maximize=True`` is left alone there.
    Skipped if fewer than two optimizer steps were seen.
    """
    seen = bench.observation
    yield from _maximised(seen)
    yield from _negated(seen)
    yield from _against_the_gain(bench, seen)


def _maximised(seen: Observation) -> Iterator[Finding]:
    for update in seen.updates:
        moves = [move for move in update.moves.values() if move.same or move.opposite]
        same = sum(move.same for move in moves)
        opposite = sum(move.opposite for move in moves)
        root = _root(seen, update.call)
        if not update.first or not same or opposite or root is None or not _standard(root):
            continue
        if _decays(update):
            continue
        yield Finding(
            ID,
            "error",
            f"The update climbs: all {same} elements that moved went up the gradient of the loss.",
            evidence={
                "elements that moved up": same,
                "elements that moved down": opposite,
                "change of the loss, first order": sum(move.along for move in moves),
                "maximize": update.optimizer.defaults.get("maximize", "not known"),
            },
            location=update.location,
            remedy="minimise: no maximize=True, no minus sign in a hand-written update",
        )
        return


def _negated(seen: Observation) -> Iterator[Finding]:
    roots = [_root(seen, call) for call in range(len(seen.trial.losses))]
    known = {call.result for call in seen.losses if call.name != "kl_div"}
    pairs = list(zip(roots, seen.trial.losses))
    alone = len(seen.trial.trainee.models) == 1
    returned = all(
        root and (loss in known or (alone and _twice_negative(root))) and _opposite(root, loss)
        for root, loss in pairs
    )
    if not returned and not (alone and all(root and _negative(root) for root in roots)):
        return
    if any(group.get("maximize") for each in seen.updates for group in each.optimizer.param_groups):
        return
    first = roots[0]
    yield Finding(
        ID,
        "error",
        "Backward starts at the negative of a loss: the loss is maximised.",
        evidence={
            "loss returned": seen.trial.losses[0],
            "value backward starts at": first.facts["root"] if first else None,
        },
        location=first.location if first else None,
        remedy="loss.backward()  # without the minus sign",
    )


def _against_the_gain(bench: Bench, seen: Observation) -> Iterator[Finding]:
    first = next((update for update in seen.updates if update.first and update.moves), None)
    if first is None or bench.reason_against("reproducible"):
        return
    direction = _direction(first)
    found = pushes(bench) if direction else []
    if found and all(direction * push.slope < 0 for push in found):
        push = found[0]
        yield Finding(
            ID,
            "error",
            f"The update makes actions of a larger {push.gain} less likely: at row {push.row} it "
            f"lowers the logit of the action and raises all others.",
            evidence={
                "rows tried": len(found),
                "gradient added at the action": push.slope,
                "the update follows the gradient": "up" if direction > 0 else "down",
            },
            location=first.location,
            remedy="loss = -(log_prob * advantage).mean()  # minimised, without maximize=True",
        )


def _direction(update: Update) -> int:
    """Return 1 if all elements moved up their gradients, -1 if all moved down, else 0."""
    same = sum(move.same for move in update.moves.values())
    opposite = sum(move.opposite for move in update.moves.values())
    return int(same > 0) - int(opposite > 0) if not (same and opposite) else 0


def _decays(update: Update) -> bool:
    """Tell whether weight decay, not the gradient, may be what moved the elements."""
    groups = update.optimizer.param_groups
    return any(group.get("weight_decay") and not group.get("maximize") for group in groups)


def _root(seen: Observation, call: int) -> Optional[Event]:
    """Return the backward pass of a call, if there is only one."""
    found = [each for each in seen.events if each.kind == "backward" and each.call == call]
    return found[0] if len(found) == 1 else None


def _standard(root: Event) -> bool:
    made, before = root.facts["made"]
    scaled = made.name in _SCALES and before.name in _STANDARD
    value = root.facts["root"]
    return (made.name in _STANDARD or scaled) and value is not None and value > 0


def _negative(root: Event) -> bool:
    made, before = root.facts["made"]
    return made.name == "Neg" and before.name in _STANDARD


def _twice_negative(root: Event) -> bool:
    return all(each.name == "Neg" for each in root.facts["made"])


def _opposite(root: Event, loss: float) -> bool:
    value = root.facts["root"]
    return value is not None and loss > 0 and value == -loss * root.facts["scale"]
