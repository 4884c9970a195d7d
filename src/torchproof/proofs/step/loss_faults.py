"""What is wrong with the input of a loss function of torch, by what made it and by its values."""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

from torchproof.proofs.step.loss_calls import LossCall, affine


_PROBABILITIES = ("Softmax", "Sigmoid")
_CLAMPS = ("Clamp", "ClampMin", "ClampMax")
# Log-probabilities smoothed as log(p + 1e-8) sum to a little more than 1, never to 2.
_TWICE = math.log(2.0)


class Fault(NamedTuple):
    """What is wrong, in a sentence, and what to write instead."""

    sentence: str
    remedy: str


def fault_of(call: LossCall) -> Optional[Fault]:
    """Say what is wrong with the input of a call; None where nothing is."""
    check = {
        "cross_entropy": _cross_entropy,
        "binary_cross_entropy_with_logits": _with_logits,
        "log_sigmoid": _with_logits,
        "nll_loss": _nll_loss,
        "kl_div": _kl_div,
        "binary_cross_entropy": _binary,
    }.get(call.name)
    return None if check is None else check(call)


def _cross_entropy(call: LossCall) -> Optional[Fault]:
    if call.classes == 1:
        return Fault(
            "cross_entropy over one class is 0 whatever the model says: nothing is learned.",
            "F.binary_cross_entropy_with_logits(logits.squeeze(1), y.float())",
        )
    made = _made_probabilities(call)
    if call.maker.name == "LogSoftmax" and call.before.name in _PROBABILITIES:
        made = call.before.name.lower()
    if not made and call.distribution and call.rows > 1:
        made = "something that normalises"
    if made:
        return Fault(
            f"cross_entropy applies softmax itself, but its input has already been through {made}: "
            f"gradients are squashed and the loss cannot come near 0.",
            "F.cross_entropy(logits, y)  # without softmax or sigmoid before it",
        )
    return None


def _with_logits(call: LossCall) -> Optional[Fault]:
    made = _made_probabilities(call)
    if made:
        name = {"log_sigmoid": "logsigmoid"}.get(call.name, call.name)
        return Fault(
            f"{name} applies sigmoid itself, but its input has already been through {made}: "
            f"no prediction can go below 0.5.",
            f"F.{name}(logits, ...)  # without sigmoid before it",
        )
    return None


def _nll_loss(call: LossCall) -> Optional[Fault]:
    remedy = "F.nll_loss(F.log_softmax(logits, dim=1), y)  # or F.cross_entropy(logits, y)"
    made = _made_probabilities(call)
    if made:
        return Fault(
            f"nll_loss takes log-probabilities, but is given the result of {made}.", remedy
        )
    if call.maker.name == "LogSoftmax" or call.over_rows:
        return _wrong_axis(call, remedy)
    picks = call.reduction == "none"
    if not picks and call.maker.name == "LogSigmoid" and call.classes > 1:
        return Fault(
            "nll_loss takes log-probabilities over the classes, but is given those of logsigmoid: "
            "no class competes with another.",
            remedy,
        )
    if not picks and (affine(call.maker) or call.log_total > _TWICE):
        what = "the bare output of a layer" if affine(call.maker) else "something else"
        return Fault(
            f"nll_loss takes log-probabilities, but is given {what}: it can fall without end.",
            remedy,
        )
    return None


def _wrong_axis(call: LossCall, remedy: str) -> Optional[Fault]:
    classes = 1
    if call.before.name in _PROBABILITIES:
        return Fault("log_softmax is applied to probabilities, which are no logits.", remedy)
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
    return Fault(
        f"softmax runs over {axis}, but nll_loss reads the classes on axis 1: "
        f"rows compete with each other instead of classes.",
        remedy,
    )


def _kl_div(call: LossCall) -> Optional[Fault]:
    remedy = "F.kl_div(F.log_softmax(logits, -1), target_probabilities, reduction='batchmean')"
    made = _made_probabilities(call)
    if made or (call.distribution and call.classes > 1):
        what = f"the result of {made}" if made else "probabilities"
        return Fault(f"kl_div takes log-probabilities, but is given {what}.", remedy)
    if affine(call.maker):
        return Fault("kl_div takes log-probabilities, but is given logits.", remedy)
    if call.maker.name == "LogSoftmax" and call.before.name in _PROBABILITIES:
        return Fault("log_softmax is applied to probabilities, which are no logits.", remedy)
    over_rows = call.maker.name == "LogSoftmax" and call.maker.axis == 0
    if call.reduction == "batchmean" and over_rows and 1 < call.rows != call.classes:
        return Fault(
            "softmax runs over axis 0, but kl_div with batchmean takes that for the batch: rows "
            "compete with each other instead of classes.",
            remedy,
        )
    return _kl_target(call, remedy)


def _kl_target(call: LossCall, remedy: str) -> Optional[Fault]:
    if not call.log_target and (call.negative or call.target.name == "LogSoftmax"):
        return Fault(
            "kl_div takes a target of probabilities, but is given logarithms or logits.",
            f"{remedy}  # or log_target=True",
        )
    if call.log_target and call.target.name in _PROBABILITIES:
        return Fault("kl_div with log_target=True is given a target of probabilities.", remedy)
    return None


def _binary(call: LossCall) -> Optional[Fault]:
    if call.maker.name in _CLAMPS and affine(call.before):
        return Fault(
            "binary_cross_entropy takes probabilities, but is given clamped outputs of a layer: "
            "nothing is learned where they are clamped.",
            "F.binary_cross_entropy_with_logits(logits, y)",
        )
    if call.maker.name == "Softmax" and call.maker.size == 1:
        return Fault(
            "softmax over a single value is 1 whatever the model says: nothing is learned.",
            "F.binary_cross_entropy_with_logits(logits, y)  # one logit needs sigmoid, not softmax",
        )
    if call.maker.name == "Sigmoid" and call.before.name in _PROBABILITIES:
        return Fault(
            "sigmoid is applied to probabilities, which are no logits: no prediction can go below "
            "0.5.",
            "F.binary_cross_entropy(probabilities, y)  # sigmoid once, in the model or in the step",
        )
    return None


def _made_probabilities(call: LossCall) -> str:
    return call.maker.name.lower() if call.maker.name in _PROBABILITIES else ""
