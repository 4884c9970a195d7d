"""Each position of a sequence must be compared with the label that is meant for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import torch

from torchproof.proofs.finding import Finding
from torchproof.proofs.prediction.probe import undisturbed
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.sequences.inner_scores import inner_sequences
from torchproof.proofs.sequences.layouts import read_in_the_other_order
from torchproof.proofs.sequences.leaks import leak, uses_its_own, uses_the_past
from torchproof.proofs.sequences.sequences import sequence
from torchproof.proofs.step.losses_seen import loss_line


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.sequences.sequences import Sequence

ID = "label-positions"
_DIMS = len(("rows", "positions", "classes"))
_FEWEST = 2


@rule(
    ID,
    summary="each position is compared with the label that is meant for it",
    source="discuss.huggingface.co (labels shifted twice); pytorch CrossEntropyLoss (N, C, d1)",
    needs=("reproducible",),
    severity="error",
)
def label_positions(bench: Bench) -> Iterator[Finding]:
    """A language model's position t meets token t + 1, and its classes stay together.

    Decided on the gradient of the loss at the model's output, which is the probability less one at
    the label. The label of each position is read from it and looked up in the model's own input.

    * It is the position's own token or an earlier one, though the model is causal and sees it: the
      labels are not shifted.
    * It is the token after the next one: they are shifted twice. Of a model that returns its loss
      alone, this is read from the output of its parts.
    * The gradient sums to zero over no axis of the output, yet does over the axis that the output
      gets when it is *reshaped* to (rows, classes, positions): the loss normalises over a mixture
      of positions.
    * Inside the model, the output of a layer is cut into classes across places. Of a convolution's
      output they are neighbouring places of one channel, and the loss normalises neither over
      channels nor over a whole line of places; of a linear layer's they are a view in which the
      loss normalises neither over features of one place nor over all places.
    * The loss asks for exactly the labels of the places, but counts the numbers of the output, or
      of the linear layer that it views, as if classes stood where places do.

    Assumes rows, then positions as the first two dimensions of input and output. Skipped if no
    model is trained by cross-entropy on the tokens of its own input, with ``causal=False``, or if
    the step is not reproducible.
    """
    scrambled = _scrambled(bench) or _cut(bench) or read_in_the_other_order(bench)
    if scrambled is not None:
        yield _mixture(bench, scrambled)
        return
    if bench.trainee.causal is False:
        raise Skip("Trainee(causal=False) says that outputs may see later tokens")
    seen = bench.once(sequence)
    inner = inner_sequences(bench) if seen is None else []
    twice = [each for each in inner if (each.shift or 0) > 1]
    if twice and all(each.shift != 1 for each in inner):
        yield _misplaced(bench, twice[-1])
        return
    if seen is None or seen.shift is None:
        raise Skip("no model is trained to give the tokens of its own input")
    if seen.shift == 1 or (seen.shift < 1 and not _has_seen_it(bench, seen)):
        return
    yield _misplaced(bench, seen)


def _has_seen_it(bench: Bench, seen: Sequence) -> bool:
    """Tell whether a causal model sees the label; one that shifts its own input does not."""
    if leak(bench, seen, everywhere=True) is not None or not uses_the_past(bench, seen):
        return False
    return seen.shift != 0 or uses_its_own(bench, seen)


def _misplaced(bench: Bench, seen: Sequence) -> Finding:
    shift = seen.shift or 0
    which = {0: "its own token, which it sees", -1: "the token before it, which it has seen"}
    text = which.get(shift, f"the token {shift} positions later, not the next one")
    return Finding(
        ID,
        "error",
        f"Each position is trained to give {text}: the labels are shifted "
        f"{'not at all' if shift == 0 else 'the wrong way' if shift < 0 else 'twice'}.",
        evidence={"shift": shift, "positions": int(seen.asked.sum())},
        location=loss_line(bench),
        remedy="loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())  "
        "# shift once, in the batch, the model or the step",
    )


def _mixture(bench: Bench, shape: list[int]) -> Finding:
    return Finding(
        ID,
        "error",
        f"The output {shape} is reshaped where its axes have to be exchanged: what the loss takes "
        f"for the classes of one position comes from several.",
        evidence={"shape of the output": shape},
        location=loss_line(bench),
        remedy="logits.transpose(1, 2)  # instead of reshape or view",
    )


def _scrambled(bench: Bench) -> Optional[list[int]]:
    """Return the shape of an output over none of whose axes the loss normalises, but reshaped."""
    for call in bench.once(undisturbed).judged:
        gradient = call.gradient
        if gradient is None or gradient.dim() < _DIMS:
            continue
        rows, second, last = gradient.shape[0], gradient.shape[1], gradient.shape[-1]
        flat = gradient.reshape(rows, -1)
        # Of the width of an image, parts as long as its channels hold no classes of their own.
        parts = call.channels_second and last > second and last % second == 0
        over_last = not parts and _within(flat.reshape(rows, -1, last), 2)
        if over_last or _within(flat.reshape(rows, second, -1), 1):
            continue
        exchanged = (flat.reshape(rows, last, -1), 1), (flat.reshape(rows, -1, second), 2)
        if second != last and any(_sums_to_zero(*each) for each in exchanged):
            return list(gradient.shape)
    return None


def _cut(bench: Bench) -> Optional[list[int]]:
    """Return the shape of an output whose classes are cut across places of a layer's output."""
    for call in bench.once(undisturbed).judged:
        maps = [each for each in call.maps if each.dim() >= _DIMS and _neighbours(each)]
        if maps:
            return list(maps[0].shape)
        gradient = call.gradient
        if gradient is not None and any(_across(gradient, each) for each in call.products):
            return list(gradient.shape)
    return None


def _neighbours(gradient: torch.Tensor) -> bool:
    """Tell whether the loss takes neighbouring places of one channel of a map for classes.

    They divide the channels, and the loss normalises neither over these nor over a line of places.
    """
    rows, channels, width = gradient.shape[0], gradient.shape[1], gradient.shape[-1]
    flat = gradient.reshape(rows, -1)
    classes = [
        each
        for each in range(2, channels + 1)
        if channels % each == 0 and each % width and _sums_to_zero(flat.reshape(rows, -1, each), 2)
    ]
    # Where all parts of a line add up to zero, so does the line.
    parts = any(width % each == 0 for each in classes)
    lines = range(2, gradient.dim() - int(parts))
    whole = any(_sums_to_zero(gradient, each, saturated=True) for each in lines)
    return bool(classes) and not whole and not _within(gradient, 1)


def _across(gradient: torch.Tensor, product: torch.Tensor) -> bool:
    """Tell whether the classes of an output come from several places of the product it views.

    Args:
        gradient: At the output: (rows, classes, places...) or (rows, places..., classes).
        product: The gradient at the matrix product: (rows * places, features).
    """
    rows, features = len(gradient), product.shape[-1]
    places = product.numel() // max(rows * features, 1)
    if gradient.dim() < _DIMS or places < _FEWEST or places * rows * features != product.numel():
        return False
    normal = [
        axis
        for axis in (1, gradient.dim() - 1)
        if features % gradient.shape[axis] == 0 and _sums_to_zero(gradient, axis)
    ]
    lines = product.reshape(rows, places, features)
    pointed = _sums_to_zero(lines, 1, saturated=True)
    return bool(normal) and not pointed and not _within(lines, 2)


def _within(gradient: torch.Tensor, axis: int) -> bool:
    """Tell whether the loss normalises over an axis or over equal parts of it (anchors, books)."""
    untyped: Any = gradient
    size = gradient.shape[axis]
    parts = [part for part in range(2, size + 1) if size % part == 0]
    return any(
        _sums_to_zero(untyped.unflatten(axis, (size // part, part)), which, saturated=True)
        for part in parts
        for which in (axis, axis + 1)
    )


def _sums_to_zero(gradient: torch.Tensor, axis: int, *, saturated: bool = False) -> bool:
    """Tell whether all sums along an axis vanish but for rounding, and not all terms do.

    A sum of n terms is off by at most n * eps times the sum of their sizes. Where the model is all
    but certain (``saturated``), the terms are what is left of 1 - 1: they are smaller than the
    rounding of probabilities, which the largest gradient of all positions measures.
    """
    terms = gradient.shape[axis]
    wide = gradient.double()
    size = wide.abs().sum(axis)
    size = size + wide.abs().max() if saturated else size
    bound = terms * torch.finfo(gradient.dtype).eps * size
    return terms > 1 and bool(size.any()) and bool((wide.sum(axis).abs() <= bound).all())
