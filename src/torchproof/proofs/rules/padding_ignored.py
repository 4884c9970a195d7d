"""How much padding a row gets must not matter."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Optional

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.bits import distance, distinct, same
from torchproof.proofs.finding import Finding
from torchproof.proofs.inference import call_in_eval
from torchproof.proofs.losses_seen import loss_line
from torchproof.proofs.paddings import Padding, end_not_asked, padding, trimmed
from torchproof.proofs.places import defined_at
from torchproof.proofs.probe import module_at, undisturbed
from torchproof.proofs.replacement import about, in_float64, persists, restored, widen
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.seeds import fix_seed
from torchproof.proofs.sequences import sequence
from torchproof.proofs.trees import named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.trial import Trial

ID = "padding-ignored"
_PER_POSITION = len(("rows", "positions"))


@rule(
    ID,
    summary="neither prediction nor loss depends on padding",
    source="transformers #29029, #46773; nnsight #673 (mask not passed, padding in a mean)",
    needs=("reproducible",),
    severity="error",
)
def padding_ignored(bench: Bench) -> Iterator[Finding]:
    """A padded row is predicted as it would be with less padding, and the loss skips its end.

    Decided for each padded row by cutting off all places behind its end (or before its start), in
    all rows: what is predicted for it has to stay. If it does not, it is repeated in float64, as
    the shapes differ and rounding may: a difference that does not shrink is a dependency.

    The loss is judged where every position has a label: its gradient at an output in the padding
    has to be 0 (but right before the first token, which it may be trained to give). Where it trains
    the next token, it asks for the last one too: an error if in every padded row it does not,
    though it asks for the one before, and if that last token is the one that pads.

    Assumes rows, then positions as the first two dimensions, padding at one side of the rows, and
    that the batch says what is padding: by a tensor with ``mask``, ``pad`` or ``len`` in its name.
    A mask with no more of a name than that has to be full in some row, and constant data have to
    lie behind it or a model has to be given it; in the latter case the loss is not judged.
    Skipped if the batch does not say it, if no row is padded, if the model needs its full length,
    if float64 is needed and cannot be used, or if the step is not reproducible.
    """
    found = bench.once(_found)
    if found.sure:
        yield from _counted(bench, found)
        yield from _unasked(bench, found)
    lengths = found.lengths
    for length in sorted({each for each in lengths if each < found.valid.shape[1]}):
        row = lengths.index(length)
        gap = _gap(bench, found, row)
        if gap and persists(gap, partial(_gap, bench, found, row, double=True)):
            yield _attended(bench, found, row, gap)
            return


def _found(bench: Bench) -> Padding:
    whole = parted(bench.trainee)
    given = [
        each
        for call in bench.once(undisturbed).calls
        for each in plain_tensors(call.arguments).values()
    ]
    found = padding(whole.inputs, whole.labels, given)
    if found is None:
        raise Skip("the batch does not say what of it is padding, or nothing is")
    return found


def _attended(bench: Bench, found: Padding, row: int, gap: float) -> Finding:
    length, positions = found.lengths[row], found.valid.shape[1]
    return Finding(
        ID,
        "error",
        f"The prediction for row {row} depends on its padding: with {positions - length} places "
        f"less of it, it changed by {gap:.3g}.",
        evidence={
            "row": row,
            "length": length,
            "padded to": positions,
            "largest change": gap,
            "padding known by": found.name,
        },
        location=defined_at(bench.trainee.predict),
        remedy="give the mask to the model: attention(..., key_padding_mask=~mask), "
        "(x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)",
    )


def _counted(bench: Bench, found: Padding) -> Iterator[Finding]:
    labels = [
        each for each in parted(bench.trainee).labels.values() if each.shape == found.valid.shape
    ]
    if not labels:
        return
    # Labels of as many classes as there are positions are not constant in the padding.
    constant = all(len(distinct(each[~found.valid])) == 1 for each in labels)
    for call in bench.once(undisturbed).judged:
        if call.gradient is None or call.gradient.shape[:_PER_POSITION] != found.valid.shape:
            continue
        behind = call.gradient[_padded(found)]
        if behind.dim() == 1 and not constant:
            continue
        places = int(behind.reshape(len(behind), -1).ne(0).any(1).sum())
        if places:
            yield Finding(
                ID,
                "error",
                f"The loss counts padding: its gradient is not 0 at {places} of {len(behind)} "
                f"outputs in the padding of their rows.",
                evidence={
                    "padded places counted": places,
                    "largest gradient": float(behind.abs().max()),
                    "padding known by": found.name,
                },
                location=loss_line(bench),
                remedy="labels = labels.masked_fill(~mask, -100)  # or the loss's ignore_index",
            )
            return


def _padded(found: Padding) -> torch.Tensor:
    """Mark the padding, without the places whose output may be trained to give a first token."""
    if not found.left:
        return ~found.valid
    before = found.valid.roll(-1, 1)
    before[:, -1] = False
    return ~found.valid & ~before


def _unasked(bench: Bench, found: Padding) -> Iterator[Finding]:
    seen = bench.once(sequence)
    if found.left or seen is None or seen.shift != 1 or seen.asked.shape != found.valid.shape:
        return
    rows = end_not_asked(found, plain_tensors(seen.call.arguments)[seen.name], seen.asked)
    if rows:
        yield Finding(
            ID,
            "error",
            "The loss never asks for the token that ends a row: it is dropped with the padding, "
            "which has the same id, so that the model does not learn to stop.",
            evidence={"rows that end so": len(rows), "padding known by": found.name},
            location=loss_line(bench),
            remedy="labels.masked_fill(~mask, -100)  # by the mask, not by the id of the padding",
        )


def _gap(bench: Bench, found: Padding, row: int, *, double: bool = False) -> float:
    """Return how far a row's prediction moves when its padding is cut off; 0.0: not a bit."""
    length = found.lengths[row]
    with restored(bench) as trial:
        given, path = _given(bench, found)
        shorter = trimmed(given, found, length)
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
