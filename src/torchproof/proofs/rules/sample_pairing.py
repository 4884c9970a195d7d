"""Each prediction must be compared with the label of its own sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.labels.crossed import crossing
from torchproof.proofs.labels.displaced import displaced
from torchproof.proofs.labels.mixtures import unfair_mixture
from torchproof.proofs.labels.self_compared import self_compared
from torchproof.proofs.labels.transcripts import mixed_sequence
from torchproof.proofs.labels.wrapped import wrapped
from torchproof.proofs.prediction.pairing import labels_act
from torchproof.proofs.rule import rule
from torchproof.proofs.step.losses_seen import loss_line


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "sample-pairing"


@rule(
    ID,
    summary="a prediction is compared with the label of its own sample",
    source="Humbatova et al., ICSE 2020 (wrong labels): x shuffled and y not, labels off by one",
    needs=("reproducible",),
    severity="error",
)
def sample_pairing(bench: Bench) -> Iterator[Finding]:
    """The prediction for a sample meets that sample's label in the loss.

    Decided for the first and the last row whose label acts, by experiments of two kinds. A row's
    label is overwritten by another row's while the loss is given the same outputs: the gradient
    changes where the loss compares this label with something. Inputs are overwritten: the outputs
    change that are predictions for these rows. It is an error if a label meets predictions of other
    rows alone, of one row each, and their own labels do not act there. Where a label changes the
    gradient everywhere, and by one factor in most places (the root of a mean), it acts on the rest.
    Where the step mixes rows before a model sees them (mixup, CutMix), it is an error if a mixture
    of some rows is compared with a mixture of as many labels that are of other rows. A loss that
    knows the whole batch (Dice over all rows, weights by label counts, hard negatives, pairs) has
    the own label act as well. With CTC a label acts on every place of its row's sequence: it is an
    error if others than the row have made one of them.

    Where rows are mixed, the shares are compared as well. If s·x + (1 - s)·x' meets the label of x
    with the share 1 - s, that is an error; so is a rectangle cut from another row if the label's
    share is none that its pixels allow, sides a pixel shorter or two longer included. Where each
    pixel has a label and the output the size of its image, one pixel of the first row and its label
    are overwritten, under four seeds at most: it is an error if the pixel reaches the model two or
    more lines or columns away from where its label meets the output, as it does if an image is
    flipped, turned or cropped otherwise than its mask. Where each position of a sequence has a
    label, it is an error if the first and the last one meet the output as if the labels went round
    the end of the sequence (``y.roll(1, 1)``), and the inputs do not. Where no label acts, whole
    numbers of the batch that the step asks to equal the very same numbers (``y == y`` for pairs of
    rows) are one.

    Assumes that inputs and labels have the samples in the same order along their first dimension.
    Skipped without labels, if all are alike, if the rows cannot be told apart in the outputs, or if
    the step is not reproducible or does not run on a batch with other values.
    """
    for judge in (_crossed, _transcribed, _displaced, _wrapped, _mixed_unfairly, _self_compared):
        finding = judge(bench)
        if finding is not None:
            yield finding
            return


def _crossed(bench: Bench) -> Optional[Finding]:
    found = crossing(bench)
    if found is None:
        return None
    made = listed([str(each) for each in found.inputs])
    what = "the prediction for another row"
    if len(found.inputs) > 1:
        what = f"a prediction for other rows ({made})"
    return Finding(
        ID,
        "error",
        f"The label of row {found.label} is compared with {what}, in place {found.place} of the "
        f"output.",
        evidence={
            "row of the label": found.label,
            "row of the inputs": made,
            "place in the output": found.place,
        },
        location=loss_line(bench),
        remedy="x, y = x[order], y[order]  # the same order, shift and shape for both",
    )


def _transcribed(bench: Bench) -> Optional[Finding]:
    found = mixed_sequence(bench)
    if found is None:
        return None
    return Finding(
        ID,
        "error",
        f"CTC aligns the label of row {found.label} with a sequence that row {found.inputs[0]} "
        f"has made a part of, in place {found.place} of the output.",
        evidence={
            "row of the label": found.label,
            "row of the inputs": found.inputs[0],
            "place in the output": found.place,
        },
        location=loss_line(bench),
        remedy="scores.transpose(0, 1)  # rows and places change places; view and reshape mix them",
    )


def _displaced(bench: Bench) -> Optional[Finding]:
    found = displaced(bench)
    if found is None:
        return None
    return Finding(
        ID,
        "error",
        f"The image is moved and its labels are not, or otherwise: the pixel {found.pixel} reaches "
        f"the model at {found.image}, and its label is compared with the output at {found.label}.",
        evidence={"pixel": found.pixel, "in the image": found.image, "of the label": found.label},
        location=loss_line(bench),
        remedy="x, y = x.flip(-1), y.flip(-1)  # the same flip, rotation or crop for both",
    )


def _wrapped(bench: Bench) -> Optional[Finding]:
    found = wrapped(bench)
    if found is None:
        return None
    return Finding(
        ID,
        "error",
        f"The labels are shifted around the end of their sequence: those of position "
        f"{found.position} are compared with the output at position {found.place}.",
        evidence={"position of the labels": found.position, "of the output": found.place},
        location=loss_line(bench),
        remedy="y  # or y[:, 1:] beside output[:, :-1], where the next one is asked for",
    )


def _mixed_unfairly(bench: Bench) -> Optional[Finding]:
    found = unfair_mixture(bench)
    if found is None:
        return None
    row, other, most = found.mixture.row, found.mixture.other, found.mixture.most
    share = f"at most {most:.3g}" if found.mixture.is_cut else f"{most:.3g}"
    return Finding(
        ID,
        "error",
        f"Row {row} is mixed with row {other} and their labels are mixed in other shares: "
        f"{share} of the input is its own and {found.share:.3g} of the label.",
        evidence={"row": row, "mixed with": other, "share of its label": found.share},
        location=loss_line(bench),
        remedy="share * loss(y) + (1 - share) * loss(y[order])  # with the share of the input that "
        "was kept",
    )


def _self_compared(bench: Bench) -> Optional[Finding]:
    line = None if labels_act(bench) else self_compared(bench)
    if line is None:
        return None
    return Finding(
        ID,
        "error",
        "The labels are compared with themselves, so that every pair of rows counts as one of a "
        "class, and act on nothing.",
        evidence={"labels that act": 0},
        location=line,
        remedy="y == y[order]  # in the order of the other inputs",
    )
