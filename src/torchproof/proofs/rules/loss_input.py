"""A loss function must be given what it expects: logits, probabilities or their logarithms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Optional

from torchproof.proofs.finding import Finding
from torchproof.proofs.rule import rule
from torchproof.proofs.step.loss_calls import LossCall, affine


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation

ID = "loss-input"
_PROBABILITIES = ("Softmax", "Sigmoid")
_CLAMPS = ("Clamp", "ClampMin", "ClampMax")
# Log-probabilities smoothed as log(p + 1e-8) sum to a little more than 1, never to 2.
_TWICE = math.log(2.0)


class _Fault(NamedTuple):
    sentence: str
    remedy: str


@rule(
    ID,
    summary="a loss function is given logits, probabilities or logarithms, as it expects",
    source="Humbatova et al., ICSE 2020 (wrong loss calculation); UMLAUT, CHI 2021",
    needs=("observation",),
    severity="error",
)
def loss_input(bench: Bench) -> Iterator[Finding]:
    """What goes into a loss function of torch is what that function is defined on.

    Decided at each call that trains, from the operation that made the input (read from the autograd
    graph through views, casts and choices of rows) and from the values:

    * ``cross_entropy`` takes logits: not the result of a softmax or sigmoid, not rows that are
      probabilities to the last bit of rounding, and more than one class.
    * ``binary_cross_entropy_with_logits`` and ``logsigmoid`` take logits: not the result of a
      sigmoid or softmax.
    * ``nll_loss`` takes log-probabilities: not the result of a softmax or sigmoid, not the bare
      output of a linear layer, nothing whose probabilities sum to more than 2, and a
      ``log_softmax`` over the classes, not over another axis: where all its values are there, those
      of one row have to sum to 1 but for rounding.
    * ``kl_div`` takes log-probabilities and, unless ``log_target`` is set, a target of
      probabilities: no logarithms, nothing negative; with ``batchmean`` no ``log_softmax`` over
      the batch.
    * ``binary_cross_entropy`` takes probabilities: no softmax over a single value, which is 1, no
      sigmoid of probabilities, and no clamped outputs of a layer.
    * ``sigmoid`` and ``log_softmax``, called outside the models, take logits, not probabilities.
    * Losses written by hand: where class ids of the batch, or the one-hot vectors of these, choose
      among the (logarithms of) probabilities of a softmax, it runs over the axis that they choose
      on; and what backward starts at is not a weighted sum of nothing but a layer's bare outputs
      at these ids (one model, one optimizer), which falls without end.

    ``log_softmax`` before ``cross_entropy`` changes nothing and is right; so are modulated
    log-probabilities (focal loss) and smoothed ones.

    Assumes that ``nll_loss`` with ``reduction="none"`` may serve to pick values, and that in a
    square matrix of similarities both axes are classes. Skipped if the step cannot be watched.
    """
    reported = set()
    for call in bench.observation.losses:
        fault = _fault(call)
        key = (call.name, call.location)
        if fault is None or key in reported:
            continue
        reported.add(key)
        yield Finding(
            ID,
            "error",
            fault.sentence,
            evidence={
                "function": call.name,
                "input made by": call.maker.name or "not known",
                "rows are probabilities": call.distribution,
                "classes": call.classes,
                "sum of exp(input), largest": f"{_exp(call.log_total):.4g}",
            },
            location=call.location,
            remedy=fault.remedy,
        )
    if not reported:
        yield from _written_out(bench.observation)


def _written_out(seen: Observation) -> Iterator[Finding]:
    for pick in seen.picks[:1]:
        yield Finding(
            ID,
            "error",
            f"softmax runs over axis {pick.over}, but the labels choose on axis {pick.along}: "
            f"what they choose among is no distribution.",
            evidence={"axis of the softmax": pick.over, "axis of the classes": pick.along},
            location=pick.location,
            remedy=f"log_softmax(logits, dim={pick.along})  # or F.cross_entropy(logits, y)",
        )
    for each in seen.squashed[:1]:
        yield Finding(
            ID,
            "error",
            f"{each.function} is applied to the result of {each.made_by}, which are no logits.",
            location=each.location,
            remedy=f"{each.made_by} once, in the model or in the step",
        )
    optimizers = {id(each.optimizer) for each in seen.steps}
    alone = len(seen.trial.trainee.models) == 1 and len(optimizers) <= 1
    for bare in seen.bare[: int(alone)]:
        yield Finding(
            ID,
            "error",
            "The loss is the bare output of a layer at the labels, not its log-probability: it can "
            "fall without end.",
            location=bare.location,
            remedy="F.cross_entropy(logits, y)  # or log_softmax before the labels choose",
        )


def _exp(value: float) -> float:
    return math.exp(value) if value < math.log(1e300) else math.inf


def _fault(call: LossCall) -> Optional[_Fault]:
    check = {
        "cross_entropy": _cross_entropy,
        "binary_cross_entropy_with_logits": _with_logits,
        "log_sigmoid": _with_logits,
        "nll_loss": _nll_loss,
        "kl_div": _kl_div,
        "binary_cross_entropy": _binary,
    }.get(call.name)
    return None if check is None else check(call)


def _cross_entropy(call: LossCall) -> Optional[_Fault]:
    if call.classes == 1:
        return _Fault(
            "cross_entropy over one class is 0 whatever the model says: nothing is learned.",
            "F.binary_cross_entropy_with_logits(logits.squeeze(1), y.float())",
        )
    made = _made_probabilities(call)
    if call.maker.name == "LogSoftmax" and call.before.name in _PROBABILITIES:
        made = call.before.name.lower()
    if not made and call.distribution and call.rows > 1:
        made = "something that normalises"
    if made:
        return _Fault(
            f"cross_entropy applies softmax itself, but its input has already been through {made}: "
            f"gradients are squashed and the loss cannot come near 0.",
            "F.cross_entropy(logits, y)  # without softmax or sigmoid before it",
        )
    return None


def _with_logits(call: LossCall) -> Optional[_Fault]:
    made = _made_probabilities(call)
    if made:
        name = {"log_sigmoid": "logsigmoid"}.get(call.name, call.name)
        return _Fault(
            f"{name} applies sigmoid itself, but its input has already been through {made}: "
            f"no prediction can go below 0.5.",
            f"F.{name}(logits, ...)  # without sigmoid before it",
        )
    return None


def _nll_loss(call: LossCall) -> Optional[_Fault]:
    remedy = "F.nll_loss(F.log_softmax(logits, dim=1), y)  # or F.cross_entropy(logits, y)"
    made = _made_probabilities(call)
    if made:
        return _Fault(
            f"nll_loss takes log-probabilities, but is given the result of {made}.", remedy
        )
    if call.maker.name == "LogSoftmax" or call.over_rows:
        return _wrong_axis(call, remedy)
    picks = call.reduction == "none"
    if not picks and call.maker.name == "LogSigmoid" and call.classes > 1:
        return _Fault(
            "nll_loss takes log-probabilities over the classes, but is given those of logsigmoid: "
            "no class competes with another.",
            remedy,
        )
    if not picks and (affine(call.maker) or call.log_total > _TWICE):
        what = "the bare output of a layer" if affine(call.maker) else "something else"
        return _Fault(
            f"nll_loss takes log-probabilities, but is given {what}: it can fall without end.",
            remedy,
        )
    return None


def _wrong_axis(call: LossCall, remedy: str) -> Optional[_Fault]:
    classes = 1
    if call.before.name in _PROBABILITIES:
        return _Fault("log_softmax is applied to probabilities, which are no logits.", remedy)
    if call.over_rows:
        axis = "axis 0"
    elif call.rows in (call.classes, 1):
        return None
    elif call.maker.axis not in (None, classes):
        axis = f"axis {call.maker.axis}"
    elif call.scattered:
        axis = "another axis"
    else:
        return None
    return _Fault(
        f"softmax runs over {axis}, but nll_loss reads the classes on axis 1: "
        f"rows compete with each other instead of classes.",
        remedy,
    )


def _kl_div(call: LossCall) -> Optional[_Fault]:
    remedy = "F.kl_div(F.log_softmax(logits, -1), target_probabilities, reduction='batchmean')"
    made = _made_probabilities(call)
    if made or (call.distribution and call.classes > 1):
        what = f"the result of {made}" if made else "probabilities"
        return _Fault(f"kl_div takes log-probabilities, but is given {what}.", remedy)
    if affine(call.maker):
        return _Fault("kl_div takes log-probabilities, but is given logits.", remedy)
    if call.maker.name == "LogSoftmax" and call.before.name in _PROBABILITIES:
        return _Fault("log_softmax is applied to probabilities, which are no logits.", remedy)
    over_rows = call.maker.name == "LogSoftmax" and call.maker.axis == 0
    if call.reduction == "batchmean" and over_rows and 1 < call.rows != call.classes:
        return _Fault(
            "softmax runs over axis 0, but kl_div with batchmean takes that for the batch: rows "
            "compete with each other instead of classes.",
            remedy,
        )
    return _kl_target(call, remedy)


def _kl_target(call: LossCall, remedy: str) -> Optional[_Fault]:
    if not call.log_target and (call.negative or call.target.name == "LogSoftmax"):
        return _Fault(
            "kl_div takes a target of probabilities, but is given logarithms or logits.",
            f"{remedy}  # or log_target=True",
        )
    if call.log_target and call.target.name in _PROBABILITIES:
        return _Fault("kl_div with log_target=True is given a target of probabilities.", remedy)
    return None


def _binary(call: LossCall) -> Optional[_Fault]:
    if call.maker.name in _CLAMPS and affine(call.before):
        return _Fault(
            "binary_cross_entropy takes probabilities, but is given clamped outputs of a layer: "
            "nothing is learned where they are clamped.",
            "F.binary_cross_entropy_with_logits(logits, y)",
        )
    if call.maker.name == "Softmax" and call.maker.size == 1:
        return _Fault(
            "softmax over a single value is 1 whatever the model says: nothing is learned.",
            "F.binary_cross_entropy_with_logits(logits, y)  # one logit needs sigmoid, not softmax",
        )
    if call.maker.name == "Sigmoid" and call.before.name in _PROBABILITIES:
        return _Fault(
            "sigmoid is applied to probabilities, which are no logits: no prediction can go below "
            "0.5.",
            "F.binary_cross_entropy(probabilities, y)  # sigmoid once, in the model or in the step",
        )
    return None


def _made_probabilities(call: LossCall) -> str:
    return call.maker.name.lower() if call.maker.name in _PROBABILITIES else ""
