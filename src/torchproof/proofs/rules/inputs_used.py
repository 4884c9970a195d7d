"""The inputs must have a say in the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchproof.proofs.batches import Parted, parted, plain_tensors, reversed_rows
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.labels.given_twice import given_twice
from torchproof.proofs.labels.noise import compared_one_by_one, given_instead
from torchproof.proofs.labels.unread_inputs import (
    NOISES,
    changes_of,
    given_inputs,
    is_unread,
    rows_of,
)
from torchproof.proofs.prediction.pairing import aligned, labels_act
from torchproof.proofs.prediction.probe import Call, module_at, probe, undisturbed
from torchproof.proofs.prediction.replacement import about, disturb, predicted, restored
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.inference import call_in_eval
from torchproof.proofs.tensors.bits import different, not_finite, same


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "inputs-used"


@rule(
    ID,
    summary="predictions depend on the inputs",
    source="Karpathy, A Recipe for Training Neural Networks (2019): input-independent baseline",
    needs=("reproducible",),
    severity="error",
)
def inputs_used(bench: Bench) -> Iterator[Finding]:
    """With other inputs, a model gives something else; so it does with one of several inputs.

    Decided for the step (the models are called in eval mode with what the step gives them) and for
    ``predict``: the rows of the inputs are put in reverse order, then the first and the last row in
    every place. If every output keeps its bits, with the trained weights and twice with noise on
    them (in case a unit is dead or a branch is zero), nothing depends on the inputs. Without
    labels only the step is judged, and if what it gives the models does depend on the inputs, as a
    generator may make its outputs of noise alone, unless they are compared with the inputs one by
    one; or if it gives them noise of an input's shape and the whole step keeps its bits for other
    inputs, or the loss compares each row of the outputs with its row of the inputs and no other.

    Where the step gives a model several inputs of the batch, each is changed alone, and the whole
    call of the step has to come out different with some of the weights. It is an error if another
    one of the same shape (two dimensions or more) and type is used, for which it may have been
    taken, and a warning if there is none, as models may share their arguments and not use all. It
    is an error, too, if nothing depends on an input that no model is given, while a model is given
    another one of the same shape and type twice and returns the same bits.

    Assumes that inputs have the batch as their first dimension. Masks and types (two values) are
    not looked at one by one. Skipped if all rows have the same inputs, if a prediction of classes
    is the same for all rows or one of a loss that compares no labels depends on no inputs, or if
    the step is not reproducible or does not run on other inputs.
    """
    whole = parted(bench.trainee)
    turned = reversed_rows(rows_of(whole))
    if all(same(each, turned(each)) for each in whole.inputs.values()):
        raise Skip("all rows have the same inputs")
    if bench.once(undisturbed).judged and not _moves(bench, whole):
        if _labels_are_the_input(bench, whole):
            raise Skip("the step gives the models the labels, and the batch holds no other input")
        if not whole.labels and not compared_one_by_one(bench):
            raise Skip("the models may make their outputs of noise alone")
        yield _finding("outputs of the models in the step", whole, None)
    elif whole.labels and bench.trainee.predict is not None and not _predicts(bench, whole):
        if not labels_act(bench):
            raise Skip("the loss compares no label with an output: predict may sample for labels")
        yield _finding("prediction", whole, defined_at(bench.trainee.predict))
    else:
        yield from _one_by_one(bench, whole)
        yield from _taken_twice(bench, whole)


def _changed(whole: Parted) -> list[Any]:
    return [whole.change(change, labels=False) for change in changes_of(rows_of(whole))]


def _finding(what: str, whole: Parted, place: str | None) -> Finding:
    return Finding(
        ID,
        "error",
        f"The {what} do{'es' * (what == 'prediction')} not depend on the inputs "
        f"({listed(list(whole.inputs))}): exchanging all rows changed no bit.",
        evidence={"rows exchanged": rows_of(whole), "largest change": 0.0, "weights": len(NOISES)},
        location=place,
        remedy='model(batch["x"])  # the variable that holds the inputs, not a copy or a constant',
    )


def _moves(bench: Bench, whole: Parted) -> bool:
    """Tell whether an output changes, with any of the changes and the weights.

    Raises:
        Skip: There are no labels, and the step gives the models the same whatever the inputs.
    """
    before = bench.once(undisturbed)
    for change in changes_of(rows_of(whole)):
        after = probe(bench, whole.change(change, labels=False))
        pairs = [pair for pair in aligned(before, after) if pair[0].gradient is not None]
        if not whole.labels and not any(_given_others(*pair) for pair in pairs):
            if given_instead(bench, [pair[0] for pair in pairs], _changed(whole)):
                return False
            raise Skip("the batch has no labels, and the step gives the models nothing of it")
        if _some_output_moves(bench, pairs):
            return True
    return False


def _labels_are_the_input(bench: Bench, whole: Parted) -> bool:
    """Tell whether labels are what the models are given, beside masks and lengths."""
    if not whole.labels or whole.has_own_inputs():
        return False
    after = probe(bench, whole.change(reversed_rows(whole.rows), labels=True))
    return any(_given_others(*pair) for pair in aligned(bench.once(undisturbed), after))


def _given_others(first: Call, second: Call) -> bool:
    arguments = plain_tensors(first.arguments), plain_tensors(second.arguments)
    return bool(different(*arguments))


def _some_output_moves(bench: Bench, pairs: list[tuple[Call, Call]]) -> bool:
    for noise in NOISES:
        with restored(bench) as trial:
            disturb(trial, noise)
            for pair in pairs:
                module = module_at(trial.trainee, pair[0].path)
                outputs = []
                for call in pair:
                    with fix_seed(noise):
                        outputs.append(about(call_in_eval(module, call.arguments)))
                if not same(*outputs) or bool(not_finite({"": outputs[0]})):
                    return True
    return False


def _predicts(bench: Bench, whole: Parted) -> bool:
    """Tell whether the prediction changes, with any of the changes and the weights.

    Raises:
        Skip: It is one of classes.
    """
    for noise in NOISES:
        with restored(bench) as trial:
            disturb(trial, noise)
            first = predicted(bench, trial, whole.batch)
            for change in changes_of(whole.rows):
                if not same(first, predicted(bench, trial, whole.change(change, labels=False))):
                    return True
    if not first.is_floating_point():
        raise Skip("the prediction is the same class for all rows")
    return False


def _one_by_one(bench: Bench, whole: Parted) -> Iterator[Finding]:
    for name in given_inputs(bench, whole):
        if not is_unread(bench, whole, name):
            continue
        unread = whole.inputs[name]
        alike = [
            other
            for other, each in whole.inputs.items()
            if other != name and each.shape == unread.shape and each.dtype == unread.dtype
        ]
        taken = unread.dim() > 1 and bool(alike)
        yield Finding(
            ID,
            "error" if taken else "warning",
            f"The step gives the model {name}, and nothing depends on it"
            + (f"; {alike[0]}, which has the same shape, is used." if taken else "."),
            evidence={"input": name, "largest change": 0.0, "weights": len(NOISES)},
            location=None,
            remedy=f"self.branch({name})  # where another variable is used, or leave it out",
        )


def _taken_twice(bench: Bench, whole: Parted) -> Iterator[Finding]:
    for name, other in given_twice(bench).items():
        if not is_unread(bench, whole, name):
            continue
        yield Finding(
            ID,
            "error",
            f"Nothing depends on {name}; the step gives the model {other}, which has the same "
            f"shape, twice, with the same result.",
            evidence={"input": name, "largest change": 0.0, "weights": len(NOISES)},
            location=None,
            remedy=f"model({name})  # in the second call",
        )
        return
