"""What is predicted at a position must not depend on later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.finding import Finding
from torchproof.proofs.rule import Skip, rule
from torchproof.proofs.sequences.leaks import leak, where
from torchproof.proofs.sequences.own_units import in_its_own_unit
from torchproof.proofs.sequences.sequences import along_the_other_axis, sequence


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.sequences.sequences import Sequence

ID = "causality"


@rule(
    ID,
    summary="the output at a position does not depend on later tokens",
    source="transformers #48745 (RoFormer and others see the future), #31673; nanochat #844",
    needs=("reproducible",),
    severity="error",
)
def causality(bench: Bench) -> Iterator[Finding]:
    """A model that is trained to give later tokens does not see them.

    Decided by overwriting all tokens from a position on by other tokens, at several positions: the
    outputs before it have to keep their bits. If they do not, it is repeated in float64, as in
    `batch-independence`. Judged where it is declared (``Trainee(causal=True)``), and where the
    gradient of the loss shows that every position which the loss reads is trained to give a later
    token of the model's own input; then only these positions are judged, so that a prefix may
    be read in both directions. If the model cannot be called with any other tokens, as where
    placeholders of an image have to be as many as it has parts, only those that the loss asks for
    are overwritten.

    A series of numbers counts as tokens where the loss asks each position for the next ones, which
    is found by giving it these in place of the output (squares, absolute values, likelihoods with
    their maximum at the mean). One that the model divides by a scale of the whole series and
    multiplies by it again is not judged, unless it is declared.

    Assumes rows, then positions as the first two dimensions of input and output, but positions last
    where a convolution makes the output; where the shapes allow both readings, the outputs have to
    depend on later places along both axes. Skipped with ``causal=False``, if the step does not
    train a model on later tokens, if the model cannot be called in eval mode as the step calls it,
    if float64 is needed and cannot be used, or if the step is not reproducible.
    """
    declared = bench.trainee.causal
    if declared is False:
        raise Skip("Trainee(causal=False) says that outputs may see later tokens")
    seen = bench.once(sequence)
    if seen is None:
        raise Skip("no model gives one output for each position of a sequence")
    if not declared and (seen.shift is None or seen.shift < 1):
        raise Skip("the step does not train it to give the next token; causal=True declares it")
    found = leak(bench, seen, everywhere=bool(declared))
    if found is None or (declared and _causal_along_the_other_axis(bench, seen)):
        return
    if not declared and in_its_own_unit(bench, seen):
        raise Skip("the series is measured by a scale of its own; causal=True declares it causal")
    mark = where(bench, found)
    yield Finding(
        ID,
        "error",
        f"The output at position {found.position} depends on later tokens: changing those from "
        f"position {found.cut} on changed it by {found.gap:.3g}.",
        evidence={
            "changed from position": found.cut,
            "output that changed": found.position,
            "largest change": found.gap,
            "first seen in": mark.name if mark else "not known",
        },
        location=mark.location if mark else None,
        remedy="mask = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)  # hides later positions; "
        "Trainee(causal=False) if they may be seen",
    )


def _causal_along_the_other_axis(bench: Bench, seen: Sequence) -> bool:
    """Tell whether the outputs keep the order of the features, which then are the positions."""
    other = along_the_other_axis(seen)
    return other is not None and leak(bench, other, everywhere=True) is None
