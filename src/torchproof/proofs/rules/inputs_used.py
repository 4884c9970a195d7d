"""The inputs must have a say in the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from torchproof.proofs.batches import Parted, parted, reversed_rows
from torchproof.proofs.bits import same
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.inference import call_in_eval
from torchproof.proofs.pairing import aligned
from torchproof.proofs.places import defined_at
from torchproof.proofs.probe import Probe, module_at, probe, undisturbed
from torchproof.proofs.replacement import about, predicted, restored
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.trial import parameters


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.trial import Trial

ID = "inputs-used"
# Trained weights first; then others, in case these give the same for every input.
_NOISES = (0, 1, 2)


@rule(
    ID,
    summary="predictions depend on the inputs",
    source="Karpathy, A Recipe for Training Neural Networks (2019): input-independent baseline",
    needs=("reproducible",),
    severity="error",
)
def inputs_used(bench: Bench) -> Iterator[Finding]:
    """With the rows of the inputs in reverse order, a supervised model gives something else.

    Decided for the step (the models are called in eval mode with what the step gives them) and for
    ``predict``: if every output keeps its bits, with the trained weights and twice with noise on
    them (in case a unit is dead or a branch is zero), nothing depends on the inputs.

    Assumes labels: without any, a generator may make its outputs of noise alone. Skipped without
    labels, if all rows have the same inputs, if a prediction of classes is the same for all rows,
    or if the step is not reproducible or does not run on other inputs.
    """
    whole = parted(bench.trainee)
    if not whole.labels:
        raise Skip("the batch has no labels; Trainee(target=...) names them")
    turned = reversed_rows(whole.rows)
    if all(same(each, turned(each)) for each in whole.inputs.values()):
        raise Skip("all rows have the same inputs")
    before = bench.once(undisturbed)
    after = probe(bench, whole.change(turned, labels=False))
    if before.judged and not _moves(bench, before, after):
        yield _finding("outputs of the models in the step", whole, None)
    elif bench.trainee.predict is not None and not _predicts(bench, whole):
        yield _finding("prediction", whole, defined_at(bench.trainee.predict))


def _finding(what: str, whole: Parted, place: str | None) -> Finding:
    return Finding(
        ID,
        "error",
        f"The {what} do{'es' * (what == 'prediction')} not depend on the inputs "
        f"({listed(list(whole.inputs))}): exchanging all rows changed no bit.",
        evidence={"rows exchanged": whole.rows, "largest change": 0.0, "weights": len(_NOISES)},
        location=place,
        remedy='model(batch["x"])  # the variable that holds the inputs, not a copy or a constant',
    )


def _moves(bench: Bench, before: Probe, after: Probe) -> bool:
    """Tell whether an output changes, with any of the weights."""
    pairs = [pair for pair in aligned(before, after) if pair[0].gradient is not None]
    for noise in _NOISES:
        with restored(bench) as trial:
            _disturb(trial, noise)
            for pair in pairs:
                module = module_at(trial.trainee, pair[0].path)
                outputs = [about(call_in_eval(module, call.arguments)) for call in pair]
                if not same(*outputs):
                    return True
    return False


def _predicts(bench: Bench, whole: Parted) -> bool:
    """Tell whether the prediction changes, with any of the weights.

    Raises:
        Skip: It is one of classes.
    """
    for noise in _NOISES:
        with restored(bench) as trial:
            _disturb(trial, noise)
            first = predicted(bench, trial, whole.batch)
            turned = whole.change(reversed_rows(whole.rows), labels=False)
            if not same(first, predicted(bench, trial, turned)):
                return True
    if not first.is_floating_point():
        raise Skip("the prediction is the same class for all rows")
    return False


def _disturb(trial: Trial, noise: int) -> None:
    """Change the weights by some times their own size, from a generator of its own."""
    generator = torch.Generator().manual_seed(noise)
    with torch.no_grad():
        for each in parameters(trial.trainee).values():
            draw = torch.randn(each.shape, generator=generator).to(each)
            each.data.add_(noise * draw * (1 + each.abs().mean()))
