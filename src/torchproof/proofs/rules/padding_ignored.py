"""How much padding a row gets must not matter."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.finding import Finding
from torchproof.proofs.prediction.probe import undisturbed
from torchproof.proofs.prediction.replacement import persists
from torchproof.proofs.process.places import defined_at
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.sequences.padding_ids import Read, counted_by_id, read_by_attention
from torchproof.proofs.sequences.paddings import Padding, end_not_asked, ends, padding
from torchproof.proofs.sequences.sequences import sequence
from torchproof.proofs.sequences.shortened import moved_by_less
from torchproof.proofs.step.losses_seen import loss_line
from torchproof.proofs.tensors.bits import distinct


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.bench import Bench

ID = "padding-ignored"
_PER_POSITION = len(("rows", "positions"))
_REMEDY = (
    "give the mask to the model: attention(..., key_padding_mask=~mask), "
    "(x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)"
)


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
    the shapes differ and rounding may: a difference that does not shrink is a dependency. It also
    has to be one with the row in every place: in pairs of rows another one's lost content counts.

    The loss is judged where every position has a label, or the next token for one: its gradient at
    an output in the padding has to be 0 (but right before the first token, which it may be trained
    to give). Where it trains the next token, it asks for the last one too: an error if in every
    padded row it does not, though it asks for the one before, and if that last token is the one
    that pads.

    Where nothing but the ``padding_idx`` of an embedding tells the padding, which then fills the
    ends of rows and stands nowhere else, the loss is judged so, and the prediction if it is made by
    attention without convolutions, recurrent layers and maxima: by another vector for padding. The
    latter is done as well where a model needs its full length.

    Assumes rows, then positions as the first two dimensions, padding at one side of the rows, and
    that the batch says what is padding: by a tensor with ``mask``, ``pad`` or ``len`` in its name,
    or by lengths or a mask of any name with which the rows of another input end: one value fills
    them from there on and is not the last one before. A mask with no more of a name than ``mask``
    has to be full in some row, and constant data have to lie behind it or a model has to be given
    it; in the latter case the loss is not judged.
    Skipped if the batch does not say it, if no row is padded, if the model needs its full length,
    if float64 is needed and cannot be used, or if the step is not reproducible.
    """
    declared = counted_by_id(bench)
    for behind, ids in declared[:1]:
        places = int(behind.flatten(1).ne(0).any(1).sum())
        yield _count(bench, f"padding_idx={ids[0]}", places, behind)
    if declared:
        return
    try:
        found = bench.once(_found)
        if found.sure:
            yield from [*_counted(bench, found)] or _asked_for(bench, found)
            yield from _unasked(bench, found)
        yield from _attended_to(bench, found)
    except Skip:
        attended = read_by_attention(bench)
        if attended is None:
            raise
        yield _read(bench, attended)


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


def _attended_to(bench: Bench, found: Padding) -> Iterator[Finding]:
    lengths = found.lengths
    for length in sorted({each for each in lengths if each < found.valid.shape[1]}):
        row = lengths.index(length)
        gap = _moved(bench, found, row) and _moved(bench, found, row, alone=True)
        if gap:
            yield _attended(bench, found, row, gap)
            return


def _moved(bench: Bench, found: Padding, row: int, *, alone: bool = False) -> float:
    """Return how far a row's prediction moves with less padding; 0.0 if by rounding at most."""
    gap = moved_by_less(bench, found, row, alone=alone)
    again = partial(moved_by_less, bench, found, row, alone=alone, double=True)
    return gap if gap and persists(gap, again) else 0.0


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
        remedy=_REMEDY,
    )


def _read(bench: Bench, found: Read) -> Finding:
    return Finding(
        ID,
        "error",
        f"The prediction for row {found.row} depends on its padding: with another vector for it, "
        f"it changed by {found.gap:.3g}.",
        evidence={
            "row": found.row,
            "largest change": found.gap,
            "padding known by": f"padding_idx={found.ids[0]}",
        },
        location=defined_at(bench.trainee.predict),
        remedy=_REMEDY,
    )


def _counted(bench: Bench, found: Padding) -> Iterator[Finding]:
    labels = [
        each
        for each in parted(bench.trainee).labels.values()
        if each.shape[:_PER_POSITION] == found.valid.shape
    ]
    if not labels:
        return
    # Labels of as many classes as there are positions are not constant in the padding.
    constant = all(len(distinct(each[~found.valid])) == 1 for each in labels)
    for call in bench.once(undisturbed).judged:
        if call.gradient is None or call.gradient.shape[:_PER_POSITION] != found.valid.shape:
            continue
        behind = call.gradient[_padded(found)]
        several = len(_sequences(call.arguments, found)) > 1
        if not constant and (behind.dim() == 1 or several):
            continue
        places = int(behind.reshape(len(behind), -1).ne(0).any(1).sum())
        if places:
            yield _count(bench, found.name, places, behind)
            return


def _sequences(given: Any, found: Padding) -> list[torch.Tensor]:
    """Return the inputs that have something of their own at each position, as masks do not.

    The mask may be that of any of them: of the sentence that is translated, or its translation.
    """
    shaped = [
        each
        for each in plain_tensors(given).values()
        if each.shape[:_PER_POSITION] == found.valid.shape
    ]
    return [
        each
        for each in shaped
        if len(distinct(each)) > len(("hidden", "seen")) and not bool((each == each[:1]).all())
    ]


def _asked_for(bench: Bench, found: Padding) -> Iterator[Finding]:
    """Say if a model that is trained on its own input is asked for what follows padding."""
    seen = bench.once(sequence)
    if found.left or seen is None or seen.shift != 1 or seen.call.gradient is None:
        return
    tokens = plain_tensors(seen.call.arguments)[seen.name]
    valid = found.valid[:, : seen.asked.shape[1]]
    # The mask may be that of another sequence, of the one that is translated.
    if seen.axis == 1 and ends(tokens, valid):
        places = int((seen.asked & ~valid).sum())
        if places:
            yield _count(bench, found.name, places, seen.call.gradient[~valid])


def _count(bench: Bench, known: str, places: int, behind: torch.Tensor) -> Finding:
    return Finding(
        ID,
        "error",
        f"The loss counts padding: its gradient is not 0 at {places} of {len(behind)} outputs in "
        f"the padding of their rows.",
        evidence={
            "padded places counted": places,
            "largest gradient": float(behind.abs().max()),
            "padding known by": known,
        },
        location=loss_line(bench),
        remedy="labels = labels.masked_fill(~mask, -100)  # or the loss's ignore_index",
    )


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
    tokens = plain_tensors(seen.call.arguments)[seen.name]
    rows = [] if tokens.is_floating_point() else end_not_asked(found, tokens, seen.asked)
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
