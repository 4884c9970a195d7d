"""A prediction must not read the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import torch

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.labels.other_labels import may_be_noisy, other_labels, rows_told
from torchproof.proofs.labels.shown_labels import are_candidates, scores_read_it
from torchproof.proofs.prediction.pairing import LabelChange, aligned, label_changes, labels_act
from torchproof.proofs.prediction.probe import Call, module_at, probe, undisturbed, watch
from torchproof.proofs.prediction.replacement import about, predicted, restored
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.process.randomness import DROPOUT
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.step.inference import call_in_eval
from torchproof.proofs.tensors.bits import distance, elements_that_differ, same


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "label-leak"
_PER_POSITION = len(("rows", "positions"))


@rule(
    ID,
    summary="a prediction does not depend on the labels",
    source="deepchecks (identifier and label leakage); Kaufman et al., KDD 2011",
    needs=("reproducible",),
    severity="error",
)
def label_leak(bench: Bench) -> Iterator[Finding]:
    """With other labels in the batch, the prediction stays the same.

    Decided where the loss compares labels with a model's output (it gives another gradient for
    other labels when it is given the same outputs), so that classes a generator is asked for
    are not taken for labels.

    * With a ``predict``: predicting for the batch with its labels exchanged gives other bits. Of
      labels with several positions only the last is changed, and earlier ones of the prediction
      have to keep their bits, so that a decoder may be given the labels before; only rows count
      whose last label the loss reads, as others may show theirs. A warning where
      they are numbers of the same shape as an input, which may be noise to be taken from them; not
      judged where the batch holds nothing beside them but masks and lengths, as they are the input.
    * Without: the labels change what the step first calls the model with, and that its output in
      eval mode, but for a column of scores for each of the rows they stand in (candidates). An
      error where they are mixed with other values; a warning where the labels are an argument of
      their own, as for a margin loss in the model, unless a layer reads them, and the row whose
      label is exchanged for another class gets other scores of further classes.

    Where there is one label for each position, the last one is changed while the loss is given the
    same outputs: if its gradient changes at one position of an output, this output is compared
    with the label, and neither it nor an earlier one may depend on it (error), in ``predict`` or,
    unless the step draws noise to hide labels behind, with its arguments in eval mode.

    Assumes that what ``Trainee(target=...)`` names is not known when predicting.
    Skipped without labels, if all are alike, with several models and no ``predict``, or if the step
    is not reproducible or does not run with other labels.
    """
    if not labels_act(bench):
        return
    changes = bench.once(label_changes)
    found = _by_predict(bench) if bench.trainee.predict else _by_arguments(bench, changes)
    found = found or _by_position(bench)
    if found is not None:
        yield found


def _by_predict(bench: Bench) -> Optional[Finding]:
    whole = parted(bench.trainee)
    if not whole.has_own_inputs():
        return None
    late = any(each.dim() > 1 and each.shape[1] > 1 for each in whole.labels.values())
    with restored(bench) as trial:
        first = predicted(bench, trial, whole.batch)
        again = predicted(bench, trial, whole.batch)
        second = predicted(bench, trial, other_labels(whole, late=late))
    if not same(first, again):
        raise Skip("two predictions for the same batch differ")
    if late and first.shape == second.shape and first.dim() > 1:
        rows = rows_told(bench, other_labels(whole, late=True), len(first))
        first, second = first[rows, :-1], second[rows, :-1]
    if same(first, second):
        return None
    return Finding(
        ID,
        "warning" if may_be_noisy(whole) else "error",
        f"The prediction reads the labels ({listed(list(whole.labels))}): exchanging them changed "
        f"it by {distance(first, second):.3g}.",
        evidence={"largest change": distance(first, second)},
        location=defined_at(bench.trainee.predict),
        remedy='predict = lambda batch: model(batch["x"])  # the inputs alone',
    )


def _by_arguments(bench: Bench, changes: list[LabelChange]) -> Optional[Finding]:
    whole = parted(bench.trainee)
    if len(bench.trainee.models) > 1:
        raise Skip("there are several models; give Trainee a predict")
    if any(each.numel() != len(each) for each in whole.labels.values() if each.dim()):
        return None
    before = bench.once(undisturbed)
    for change in changes:
        pairs = aligned(before, change.probe)
        # A model that is called without the labels first (adversarial examples) can do so later.
        first_calls = {pair[0].path: pair for pair in reversed(pairs)}
        for first, second in first_calls.values():
            gap = _moved(bench, first, second) if _mixed(first, second) else 0.0
            if gap:
                own = _is_argument(first, list(whole.labels.values()))
                index = next(at for at, pair in enumerate(pairs) if pair[0] is first)
                margin = own and (_draws(bench) or not scores_read_it(bench, change, index))
                return _finding(gap, own=own, margin=margin)
    return None


def _by_position(bench: Bench) -> Optional[Finding]:
    """Judge the output that the last label is compared with, and those before it."""
    whole = parted(bench.trainee)
    shapes = {tuple(each.shape) for each in whole.labels.values()}
    shape = shapes.pop() if len(shapes) == 1 else ()
    if len(shape) < _PER_POSITION or shape[1] == 1 or max(shape[_PER_POSITION:], default=1) > 1:
        return None
    dims = _PER_POSITION if bench.trainee.predict is None else 1
    if not whole.has_own_inputs(dims=dims) or (bench.trainee.predict is None and _draws(bench)):
        return None
    changed = other_labels(whole, late=True)
    before = bench.once(undisturbed)
    for call, other in aligned(before, probe(bench, changed, held=before)):
        told = _compared(call, other)
        if told is None or len(told) != shape[0] or shape[1] - told.shape[1] not in (0, 1):
            continue
        position = int(told.any(0).nonzero())
        gap = _seen(bench, call.path, told.any(1), position, changed)
        if gap:
            return Finding(
                ID,
                "warning" if may_be_noisy(whole) else "error",
                f"The output at position {position} reads the label that it is compared with: "
                f"another label changed it by {gap:.3g}.",
                evidence={"position": position, "largest change": gap},
                location=defined_at(bench.trainee.predict),
                remedy="given = torch.cat([start, labels[:, :-1]], 1)  # the labels before",
            )
    return None


def _draws(bench: Bench) -> bool:
    """Tell whether the step draws noise: to hide labels behind it is another way to train."""
    if bench.reason_against("observation"):
        return True
    return any(each.name not in DROPOUT for each in bench.observation.draws)


def _compared(first: Call, second: Call) -> Optional[torch.Tensor]:
    """Mark where (rows, positions) the labels changed the gradient; None: not at one position."""
    one, other = first.gradient, second.gradient
    if one is None or other is None or one.shape != other.shape or one.dim() < _PER_POSITION:
        return None
    told = elements_that_differ(one, other).reshape(*one.shape[:_PER_POSITION], -1).any(2)
    return told if int(told.any(0).sum()) == 1 else None


def _seen(bench: Bench, path: str, rows: torch.Tensor, position: int, others: Any) -> float:
    """Return how far other labels move the outputs of these rows up to a position."""
    outputs = [_outputs(bench, path, batch) for batch in (parted(bench.trainee).batch, others)]
    gaps = [
        distance(one[rows, : position + 1], other[rows, : position + 1])
        for one, other in zip(*outputs)
        if one.shape == other.shape and one.dim() >= _PER_POSITION and len(one) == len(rows)
    ]
    return max(gaps, default=0.0)


def _outputs(bench: Bench, path: str, batch: Any) -> list[torch.Tensor]:
    """Return what a model returns in ``predict``, or in eval mode for what the step gives it."""
    if bench.trainee.predict is None:
        calls = probe(bench, batch).calls
        with restored(bench) as trial:
            module = module_at(trial.trainee, path)
            given = [call.arguments for call in calls if call.path == path]
            return [about(call_in_eval(module, each)) for each in given]
    with restored(bench) as trial, watch(trial.trainee) as seen:
        predicted(bench, trial, batch)
    return [call.output for call in seen.calls if call.path == path and call.output is not None]


def _mixed(first: Call, second: Call) -> bool:
    """Tell whether a model got rows that it did not get before, in whatever order."""
    pairs = zip(plain_tensors(first.arguments).values(), plain_tensors(second.arguments).values())
    judged = first.gradient is not None and not are_candidates(first, second)
    return judged and any(_new_rows(*pair) for pair in pairs)


def _new_rows(first: torch.Tensor, second: torch.Tensor) -> bool:
    if first.shape != second.shape or first.dim() == 0 or same(first, second):
        return False
    known = {str(row.tolist()) for row in first}
    return first.dim() == 1 or any(str(row.tolist()) not in known for row in second)


def _moved(bench: Bench, first: Call, second: Call) -> float:
    with restored(bench) as trial:
        outputs = [
            about(call_in_eval(module_at(trial.trainee, call.path), call.arguments))
            for call in (first, second)
        ]
    return 0.0 if same(*outputs) else distance(*outputs)


def _is_argument(call: Call, labels: list[torch.Tensor]) -> bool:
    return any(
        given.numel() == each.numel() and torch.equal(given.flatten(), each.flatten().to(given))
        for given in plain_tensors(call.arguments).values()
        for each in labels
    )


def _finding(gap: float, *, own: bool, margin: bool) -> Finding:
    return Finding(
        ID,
        "warning" if margin else "error",
        f"The step gives the model the labels: exchanging them changed its output in eval mode by "
        f"{gap:.3g}.",
        evidence={"largest change": gap, "labels are an argument of their own": own},
        location=None,
        remedy='model(batch["x"])  # the inputs alone, or Trainee(predict=...) as it is done '
        "without labels",
    )
