"""Training must lower the loss, not raise it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from torchproof.proofs.finding import Finding
from torchproof.proofs.parameters.advantages import gains, pushes
from torchproof.proofs.prediction.loss_weights import not_weighed, weighed_alike
from torchproof.proofs.process.randomness import DROPOUT
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.ways import UP, first_way, way


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.events import Event
    from torchproof.proofs.step.loss_signs import LossSign
    from torchproof.proofs.step.observation import Observation
    from torchproof.proofs.step.updates import Update

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
    needs=("observation",),
    severity="error",
)
def uphill_update(bench: Bench) -> Iterator[Finding]:
    """Training lowers the loss, as far as the gradient can say.

    Decided from the first update of each optimizer, when it has no momentum yet, and from the value
    that backward starts at. An error if that value is one of torch's losses (mean squared error,
    cross-entropy, ...) and

    * every element that moves goes the way of its gradient: the loss is maximised, or
    * the step returns such a loss and backward starts, in every call, at its negative, or
    * the only model's step returns a negative of its own making (``loss = -log_prob.mean()``) that
      is positive and backward starts, in every call, at the negative of that, or
    * the only backward pass of the only model starts, in every call, at the negative of one.

    A policy is judged by what the batch calls advantage, reward or return: that of one row is
    raised while the loss is given the same outputs. An error if what this adds to the gradient
    makes the first update lower the logit of the row's action and raise all others, or lower the
    log-probability that a distribution of torch gives the action.

    Where none of these says anything, the gradients that arrive at all losses in all calls decide:
    at the results of torch's loss functions and at squares, absolute values and norms of
    differences from the batch; turned around, at log-probabilities of the batch (those of torch's
    distributions, of a log-softmax at class ids, a logsigmoid), at probabilities or their
    logarithms times the labels, at ``x - logcumsumexp(x)`` (a partial likelihood), at ``x -
    logsumexp(x)`` where the batch says what of it counts, by zeros and ones, or the diagonal of a
    matrix does, and at cosines of angles to the batch. An error if each of their elements makes the
    update raise the loss and at least one loss weighs all its elements alike, or is a difference or
    an overlap that nothing in the batch can weigh. Which way the update goes is known of torch's
    optimizers; of others, and of updates written by hand, if every element of the first one goes
    the same way along the gradient.

    Assumes that losses are there to become small where no other one becomes small beside them
    (adversaries, contrasts), and that actions of a larger advantage are to become likelier.
    Log-probabilities are not judged where the batch names a gain, nor those of the model's own
    values where noise is drawn. Neither are several optimizers without one backward pass for all,
    models that no optimizer holds, and other objectives, so ``maximize=True`` is left alone there.
    Skipped if fewer than two optimizer steps were seen, or none and no such loss.
    """
    seen = bench.observation
    reason = bench.reason_against("updates")
    if reason and (seen.updates or not seen.signs):
        raise Skip(reason)
    found = [] if reason else [*_maximised(seen), *_negated(seen), *_against_the_gain(bench, seen)]
    yield from found or _raised(bench, seen)


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
    firsts = [update for update in seen.updates if update.first and update.moves]
    if not firsts or bench.reason_against("reproducible"):
        return
    ways = {first_way(each) for each in firsts}
    first, direction = firsts[0], ways.pop() if len(ways) == 1 else 0
    found = pushes(bench) if direction else []
    if found and all(direction * push.slope < 0 for push in found):
        push = found[0]
        yield Finding(
            ID,
            "error",
            f"The update makes actions of a larger {push.gain} less likely: at row {push.row} it "
            f"lowers the logarithm of the action's probability.",
            evidence={
                "rows tried": len(found),
                "gradient added at the action": push.slope,
                "the update follows the gradient": "up" if direction > 0 else "down",
            },
            location=first.location,
            remedy="loss = -(log_prob * advantage).mean()  # minimised, without maximize=True",
        )


def _raised(bench: Bench, seen: Observation) -> Iterator[Finding]:
    noisy = any(each.name not in DROPOUT for each in seen.draws)
    heard = [each for each in seen.signs if not (each.fixed and noisy)]
    signs = {_sign(each) for each in heard}
    sure = [each for each in heard if not (each.of_classes and gains(bench))]
    judged = weighed_alike(sure) or not_weighed(bench, sure)
    if len(signs) != 1 or not judged:
        return
    taken, (sign,) = way(bench, seen), signs
    if taken * sign <= 0:
        return
    loss = judged[0]
    yield Finding(
        ID,
        "error",
        f"Training raises the loss: {loss.name} enters the value that backward starts at with "
        f"{'the sign of a loss' if sign > 0 else 'the opposite sign of a loss'}, and the update "
        f"goes {'up' if taken == UP else 'down'} the gradient.",
        evidence={
            "loss": loss.name,
            "slope of the value in the loss": loss.least,
            "the update follows the gradient": "up" if taken == UP else "down",
        },
        location=loss.location,
        remedy="minimise the loss: one minus sign before a likelihood, none before a loss",
    )


def _sign(loss: LossSign) -> int:
    """Return the sign of all elements that are not 0; 0 if they have both."""
    return int(loss.least > 0) - int(loss.most < 0)


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
