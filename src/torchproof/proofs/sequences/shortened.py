"""The prediction for a padded row, with its padding cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from torchproof.proofs.batches import every_row_from, parted
from torchproof.proofs.prediction.probe import module_at, undisturbed
from torchproof.proofs.prediction.replacement import about, in_float64, restored, widen
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip
from torchproof.proofs.sequences.paddings import trimmed
from torchproof.proofs.step.inference import call_in_eval
from torchproof.proofs.tensors.bits import distance, same
from torchproof.proofs.tensors.trees import map_tensors, named_tensors


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.sequences.paddings import Padding
    from torchproof.proofs.step.trial import Trial


def moved_by_less(
    bench: Bench, found: Padding, row: int, *, alone: bool = False, double: bool = False
) -> float:
    """Return how far a row's prediction moves when its padding is cut off; 0.0: not a bit.

    Args:
        bench: Where the trainee comes from.
        found: The padding of the batch.
        row: Which is predicted; longer rows lose content.
        alone: Put the row in every place, so that none loses content: a prediction may be about
            pairs of rows.
        double: In float64.
    """
    length = found.lengths[row]
    with restored(bench) as trial:
        given, path = _given(bench, found)
        shorter = trimmed(given, found, length)
        if alone:
            change = every_row_from(row, len(found.valid))
            given, shorter = map_tensors(given, change), map_tensors(shorter, change)
        if double:
            given, shorter = widen(trial, given), in_float64(shorter)
        first = _prediction(bench, trial, given, path)[row]
        try:
            second = _prediction(bench, trial, shorter, path)[row]
        except Exception as error:
            what = "the model cannot be called with shorter sequences"
            raise Skip(f"{what} ({type(error).__name__}: {error})") from error
    if first.shape != second.shape and first.dim() and len(first) == found.valid.shape[1]:
        first = first[found.content(length)]
    if first.shape != second.shape:
        raise Skip("the shape of the prediction depends on the length in another way")
    return 0.0 if same(first, second) else distance(first, second)


def _given(bench: Bench, found: Padding) -> tuple[Any, Optional[str]]:
    """Return what is predicted for, and the path of the model called if there is no predict."""
    if bench.trainee.predict is not None:
        return parted(bench.trainee).batch, None
    shape = found.valid.shape
    for call in bench.once(undisturbed).judged:
        tensors = named_tensors(call.arguments).values()
        if any(each.shape[: len(shape)] == shape for each in tensors):
            return call.arguments, call.path
    raise Skip("the step calls no model with the padded sequences")


def _prediction(bench: Bench, trial: Trial, given: Any, path: Optional[str]) -> torch.Tensor:
    with fix_seed(bench.seed):
        if path is None:
            return about(trial.predict(given))
        return about(call_in_eval(module_at(trial.trainee, path), given))
