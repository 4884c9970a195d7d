"""Predicting must say the same for the same batch, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.prediction.augmented import augmentation
from torchproof.proofs.prediction.purity import evaluation, purity
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.rule import rule
from torchproof.proofs.step.trial import Trial


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.purity import Purity

ID = "pure-prediction"


@rule(
    ID,
    summary="predicting twice says the same and leaves nothing behind",
    source="pytorch #124464 (attention dropout in eval), timm #1978; TrainCheck, OSDI 2025",
    needs=("reproducible", "predict"),
    severity="error",
)
def pure_prediction(bench: Bench) -> Iterator[Finding]:
    """A prediction depends on its batch alone and does not change the process.

    Decided by predicting four times for one batch: twice from one seed, a third time after another
    batch (the same rows in reverse), and once from another seed.

    * The first three differ by a bit: something is carried from call to call (error).
    * The last differs, and an operation that drops values drew random numbers: dropout is active
      (error; a warning if a model is called several times for the same input, as Monte Carlo
      dropout does). So it is where labels are compared with an output and values are multiplied by
      a random mask of zeros and one other number, drawn at a line of the step. Other randomness is
      taken for meant: a sampler. But if it is noise that the step draws at the same line, and with
      it an input of the batch reaches the model changed, the augmentation of training is active
      (error), where the loss compares labels with an output and every model is called once. So it
      is where a model itself adds such noise to an input, or multiplies it by that, before
      anything that it has learned.
    * A switch of torch (gradients, default dtype, autocast) is left in another position (error).
    * A random stream ends in one state wherever it started: it was seeded, and training repeats
      its draws after every evaluation (error).
    * A tensor of the batch was changed in place (error).

    What ``evaluate`` does to switches, random streams and its batch is judged in the same way, and
    whether it augments.

    Assumes that noise on the inputs of a supervised model is meant for training only. Skipped if
    the step is not reproducible or nothing can be predicted.
    """
    found = bench.once(purity)
    place = defined_at(bench.trainee.predict)
    yield from _left_behind("Predicting", found, place)
    if found.again and not found.batch:
        yield _carried(found, place)
    if found.dropouts:
        yield _dropped(found, place)
    elif found.noises and found.passes == 1:
        yield _noisy(found, place)
    elif not found.again and bench.trainee.predict is not None:
        yield from _augmented(bench, "predicting", Trial.predict)
    if bench.trainee.evaluate is not None:
        evaluated = bench.once(evaluation)
        yield from _left_behind("Evaluating", evaluated, defined_at(bench.trainee.evaluate))
        yield from _augmented(bench, "evaluating", Trial.evaluate)


def _left_behind(who: str, found: Purity, place: str | None) -> Iterator[Finding]:
    if found.switches:
        yield _left(who, found, place)
    if found.streams:
        yield _seeded(who, found, place)
    if found.batch:
        yield _changed(who, found, place)


def _left(who: str, found: Purity, place: str | None) -> Finding:
    name, (old, new) = next(iter(found.switches.items()))
    return Finding(
        ID,
        "error",
        f"{who} leaves a switch of torch in another position: {name} was {old}, is {new}.",
        evidence={name: f"{old} -> {new}" for name, (old, new) in found.switches.items()},
        location=place,
        remedy="with torch.no_grad(): ...  # a with statement, which puts it back",
    )


def _seeded(who: str, found: Purity, place: str | None) -> Finding:
    return Finding(
        ID,
        "error",
        f"{who} seeds {listed(found.streams)}: training draws the same numbers after every "
        f"evaluation.",
        evidence={"seeded": listed(found.streams), "different states before, one after": 2},
        location=place,
        remedy="with torch.random.fork_rng(): ...  # or a torch.Generator of its own",
    )


def _changed(who: str, found: Purity, place: str | None) -> Finding:
    return Finding(
        ID,
        "error",
        f"{who} changes the batch it is given: {listed(found.batch)}.",
        evidence={"tensors changed": len(found.batch), "second prediction off by": found.again},
        location=place,
        remedy="x = x / 255  # instead of x /= 255 or x.div_(255)",
    )


def _carried(found: Purity, place: str | None) -> Finding:
    return Finding(
        ID,
        "error",
        f"A second prediction for the same batch differs from the first by {found.again:.3g}: "
        f"something is carried over.",
        evidence={"largest change": found.again},
        location=place,
        remedy="keep no state between calls in attributes; give hidden states as arguments",
    )


def _augmented(bench: Bench, who: str, use: Callable[[Trial], object]) -> Iterator[Finding]:
    seen = None if bench.reason_against("observation") else augmentation(bench, use)
    if seen is not None:
        yield Finding(
            ID,
            "error",
            f"The augmentation of training is active while {who} ({seen.name}): from another "
            f"seed the model's inputs differ by {seen.gap:.3g}.",
            evidence={"operation": seen.name, "largest change of an input": seen.gap},
            location=seen.location,
            remedy="model(x)  # without the noise that the step adds",
        )


def _noisy(found: Purity, place: str | None) -> Finding:
    first = found.noises[0]
    return Finding(
        ID,
        "error",
        f"The model changes its inputs by noise while predicting ({first.name}): from another seed "
        f"the prediction differs by {found.reseeded:.3g}.",
        evidence={"operation": first.name, "largest change": found.reseeded},
        location=first.location or place,
        remedy="x = x + noise if self.training else x",
    )


def _dropped(found: Purity, place: str | None) -> Finding:
    first = found.dropouts[0]
    return Finding(
        ID,
        "warning" if found.passes > 1 else "error",
        f"Dropout is active while predicting ({first.name}): from another seed the prediction "
        f"differs by {found.reseeded:.3g}.",
        evidence={
            "operation": first.name,
            "times": len(found.dropouts),
            "largest change": found.reseeded,
        },
        location=first.location or place,
        remedy="model.eval()  # and F.dropout(x, p, training=self.training), "
        "dropout_p=self.p if self.training else 0.0",
    )
