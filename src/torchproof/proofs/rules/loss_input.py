"""A loss function must be given what it expects: logits, probabilities or their logarithms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding
from torchproof.proofs.rule import rule
from torchproof.proofs.step.loss_faults import fault_of


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation

ID = "loss-input"


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
        fault = fault_of(call)
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
