"""A model must be given the same inputs in training and when predicting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.batches import Parted, another_row, parted, plain_tensors, row_from
from torchproof.proofs.bits import distance, elements_that_differ, same
from torchproof.proofs.drawings import drawings
from torchproof.proofs.finding import Finding
from torchproof.proofs.pairing import aligned, label_changes
from torchproof.proofs.places import defined_at
from torchproof.proofs.probe import Call, Probe, probe, undisturbed, watch
from torchproof.proofs.randomness import NOISE
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.seeds import fix_seed


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.bench import Bench

ID = "input-parity"


@rule(
    ID,
    summary="step and predict give the model the same inputs for the same batch",
    source="Karpathy, A Recipe for Training Neural Networks (2019); Google, Rules of ML, rule 29",
    needs=("reproducible",),
    severity="error",
)
def input_parity(bench: Bench) -> Iterator[Finding]:
    """For one batch the model receives the same numbers from the step and from ``predict``.

    Decided on the floating-point arguments of the same shape and type that a model gets in both:
    some call of ``predict`` has to find its numbers, in any order of the rows, in some call of
    the step. The step's have to be the same at two calls from different seeds, or they are
    augmented at random and nothing is decided; so are they if a row holds some of another one's
    (mixup) or of its label (a decoder's inputs).

    Assumes that what the step does to every batch alike is meant for every batch. Skipped without
    ``predict`` or labels, if the step draws, mixes or reads labels to make the inputs, if predict
    draws random numbers, or if the step is not reproducible.
    """
    trainee = bench.trainee
    if trainee.predict is None:
        raise Skip("Trainee(predict=...) does not say how it is predicted")
    whole = parted(trainee)
    if not whole.labels:
        raise Skip("the batch has no labels; Trainee(target=...) names them")
    first, second, predicting = _calls(bench)
    if any(_gap(*pair) for pair in aligned(first, second)):
        raise Skip("the step does not give the model the same inputs at every call")
    gap = _nearest(first, predicting)
    if not gap:
        return
    _check_rows(bench, whole)
    yield Finding(
        ID,
        "error",
        f"For the same batch predict gives the model other inputs than the step: they differ by "
        f"{gap:.3g}.",
        evidence={"largest difference": gap, "calls of the step compared": 2},
        location=defined_at(trainee.predict),
        remedy="inputs = prepare(batch)  # one function, called in step and in predict",
    )


def _calls(bench: Bench) -> tuple[Probe, Probe, Probe]:
    """Watch two calls of the step from different seeds, then a prediction."""
    with bench.trial() as trial:
        probes = []
        for offset in (0, 1):
            with fix_seed(bench.seed + offset), watch(trial.trainee) as found:
                trial.step()
            probes.append(found)
        with fix_seed(bench.seed), watch(trial.trainee) as predicting, drawings() as drawn:
            trial.predict()
    noise = next((each.name for each in drawn if each.name in NOISE), None)
    if noise is not None:
        raise Skip(f"predict draws random numbers ({noise})")
    return probes[0], probes[1], predicting


def _nearest(step: Probe, predicting: Probe) -> float:
    """Return how far the nearest two of the calls are that can be compared."""
    return min(
        (
            _gap(one, other)
            for other in predicting.calls
            for one in step.judged
            if one.path == other.path and _common(one, other)
        ),
        default=0.0,
    )


def _gap(first: Call, second: Call) -> float:
    pairs = _common(first, second)
    return max((0.0 if _same_rows(*pair) else distance(*pair) for pair in pairs), default=0.0)


def _common(first: Call, second: Call) -> list[tuple[torch.Tensor, torch.Tensor]]:
    ours, theirs = plain_tensors(first.arguments), plain_tensors(second.arguments)
    pairs = [(each, theirs[name]) for name, each in ours.items() if name in theirs]
    return [
        (one, other)
        for one, other in pairs
        if one.is_floating_point() and one.dtype == other.dtype and one.shape == other.shape
    ]


def _same_rows(first: torch.Tensor, second: torch.Tensor) -> bool:
    if same(first, second) or first.dim() == 0:
        return same(first, second)
    rows = [sorted(str(row) for row in each.tolist()) for each in (first, second)]
    return rows[0] == rows[1]


def _check_rows(bench: Bench, whole: Parted) -> None:
    """Check that the step makes each row of the inputs of that row of the batch, or of all.

    Raises:
        Skip: It mixes some rows, or reads labels.
    """
    before = bench.once(undisturbed)
    for change in bench.once(label_changes):
        if any(_gap(*pair) for pair in aligned(before, change.probe)):
            raise Skip("the step gives the model the labels")
    other = another_row(whole.inputs, 0, whole.rows)
    if other is None:
        raise Skip("all rows have the same inputs")
    after = probe(bench, whole.change(row_from(0, other, whole.rows), labels=False))
    for pair in aligned(before, after):
        for one, two in _common(*pair):
            moved = elements_that_differ(one, two).flatten(1).any(1) if one.dim() > 1 else one[:0]
            if 1 < int(moved.sum()) < len(moved):
                raise Skip("the step mixes rows of the batch before the model gets them")
