"""A model must be given the same inputs in training and when predicting."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Callable

from torchproof.proofs.batches import Parted, another_row, parted, plain_tensors, row_from
from torchproof.proofs.finding import Finding
from torchproof.proofs.prediction.pairing import aligned, label_changes
from torchproof.proofs.prediction.probe import Call, Probe, probe, undisturbed, watch
from torchproof.proofs.prediction.replacement import disturb
from torchproof.proofs.process.drawings import drawings
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.process.randomness import NOISE
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.tensors.bits import distance, elements_that_differ, same


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.bench import Bench

    Pair = tuple[torch.Tensor, torch.Tensor]
    Kind = Callable[[torch.Tensor], bool]

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

    Decided on the arguments of the same shape and type that a model gets in both, floating-point
    numbers or else tokens (whole numbers, where a row has one label and predict gives those of the
    batch): some call of ``predict`` has to find its numbers, in any order of the rows, in some call
    of the step. The step's have to be the same at two calls from different seeds, or they are
    augmented at random and nothing is decided; so are they if a row holds some of another one's
    (mixup) or of its label (a decoder's inputs). What another layer has made is not compared: it
    changes with the weights and the mode.

    Assumes that what the step does to every batch alike is meant for every batch. Skipped without
    ``predict`` or labels, if the step draws, mixes or reads labels or weights to make the inputs,
    if predict draws random numbers, or if the step is not reproducible.
    """
    trainee = bench.trainee
    if trainee.predict is None:
        raise Skip("Trainee(predict=...) does not say how it is predicted")
    whole = parted(trainee)
    if not whole.labels:
        raise Skip("the batch has no labels; Trainee(target=...) names them")
    first, second, predicting = _calls(bench)
    for kind in _kinds(whole):
        if any(_gap(_common(kind, *pair)) for pair in aligned(first, second)):
            raise Skip("the step does not give the model the same inputs at every call")
        compare = partial(_common, kind)
        inputs = list(whole.inputs.values())
        # One that the loss makes nothing of the main output of is a call of the step all the same.
        calls = (first.judged, [call for call in first.calls if call.made_by])
        gap, rest = (_nearest(compare, each, predicting, inputs) for each in calls)
        if gap and rest:
            break
    else:
        return
    _check_rows(bench, whole, kind)
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


def _kinds(whole: Parted) -> list[Kind]:
    """Return what is compared: tokens only where labels are for whole rows, as masks are not."""
    rows = all(each.dim() <= 1 for each in whole.labels.values())
    return [_fractions, _tokens] if rows else [_fractions]


def _fractions(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point()


def _tokens(tensor: torch.Tensor) -> bool:
    return not tensor.is_floating_point() and tensor.dim() > 1


def _nearest(
    common: Callable[[Call, Call], list[Pair]],
    step: list[Call],
    predicting: Probe,
    inputs: list[torch.Tensor],
) -> float:
    """Return how far the nearest two of the calls are that can be compared.

    Tokens can be where predict gives those of the batch: others may be what it has generated.
    """
    calls = [
        common(one, other) for other in predicting.calls for one in step if one.path == other.path
    ]
    judged = [
        [
            pair
            for pair in pairs
            if pair[0].is_floating_point() or any(same(pair[1], each) for each in inputs)
        ]
        for pairs in calls
    ]
    return min((_gap(pairs) for pairs in judged if pairs), default=0.0)


def _gap(pairs: list[Pair]) -> float:
    return max((0.0 if _same_rows(*pair) else distance(*pair) for pair in pairs), default=0.0)


def _common(kind: Kind, first: Call, second: Call) -> list[Pair]:
    ours, theirs = plain_tensors(first.arguments), plain_tensors(second.arguments)
    pairs = [(each, theirs[name]) for name, each in ours.items() if name in theirs]
    return [
        (one, other)
        for one, other in pairs
        if kind(one)
        and one.dtype == other.dtype
        and one.shape == other.shape
        # What comes from weights is another number each time; an equal one is what it should be.
        and (not one.requires_grad or same(one, other))
    ]


def _same_rows(first: torch.Tensor, second: torch.Tensor) -> bool:
    if same(first, second) or first.dim() == 0:
        return same(first, second)
    rows = [sorted(str(row) for row in each.tolist()) for each in (first, second)]
    return rows[0] == rows[1]


def _check_rows(bench: Bench, whole: Parted, kind: Kind) -> None:
    """Check that the step makes each row of the inputs of that row of the batch, or of all.

    Raises:
        Skip: It mixes some rows, or reads labels or weights.
    """
    before = bench.once(undisturbed)
    if any(_gap(_common(kind, *pair)) for pair in aligned(before, bench.once(_other_weights))):
        raise Skip("what the step gives the model depends on weights")
    for change in bench.once(label_changes):
        if any(_gap(_common(kind, *pair)) for pair in aligned(before, change.probe)):
            raise Skip("the step gives the model the labels")
    other = another_row(whole.inputs, 0, whole.rows)
    if other is None:
        raise Skip("all rows have the same inputs")
    after = probe(bench, whole.change(row_from(0, other, whole.rows), labels=False))
    for pair in aligned(before, after):
        for one, two in _common(kind, *pair):
            moved = elements_that_differ(one, two).flatten(1).any(1) if one.dim() > 1 else one[:0]
            if 1 < int(moved.sum()) < len(moved):
                raise Skip("the step mixes rows of the batch before the model gets them")


def _other_weights(bench: Bench) -> Probe:
    """Run the first call of the step with other weights.

    Raises:
        Skip: It fails with them.
    """
    with bench.trial() as trial, watch(trial.trainee) as found:
        disturb(trial, 1)
        try:
            trial.step()
        except Exception as error:
            what = f"the step fails with other weights ({type(error).__name__}: {error})"
            raise Skip(what) from error
    return found
