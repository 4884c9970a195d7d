"""What the model registers, what the optimizers hold and what gets gradients must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.parameters.sets import ID
from torchproof.proofs.parameters.untaught import (
    flattened,
    not_reached,
    nothing_reached,
    terms_without_gradient,
)
from torchproof.proofs.parameters.untrained import not_registered, not_trained
from torchproof.proofs.rule import rule


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.finding import Finding


@rule(
    ID,
    summary="registered, optimised and reached parameters agree",
    source="discuss.pytorch.org/t/84911; accelerate #2665; PyTorch FAQ on optimizers",
    needs=("optimizer",),
    severity="error",
)
def parameter_sets(bench: Bench) -> Iterator[Finding]:
    """Every parameter that learns is registered, reached by a gradient and held by an optimizer.

    Decided on three sets, taken while the step runs: what the models register (M), what gets a
    gradient (R: leaves of the graphs that backward walks, accumulated gradients, gradients present
    at an optimizer's step) and what the optimizers hold (O).

    * in M and R, not in O: trainable and not trained (error), unless another hand moves it (EMA).
    * in R, not in M nor O: held by a module without registration (error), of a layer that a model
      makes at each call with other values (error), or foreign (warning).
    * in all three, but reached only through ``round``, ``sign``, ``floor``, ``ceil`` or ``trunc``:
      its gradient is 0 (error).
    * in M and O, not in R: its value is changed. If the loss changes too, the path from it to the
      loss is cut (error). If not, what is computed with it in a call of the step is followed: if no
      model returns any of it, no python number is made of it and nothing is kept, a result is
      dropped on the way (error); else nothing uses it (warning). The last of several layers may be
      dropped, as that of two streams of which one is read at the end (warning). An info for one of
      a list of modules, some of which get a gradient from another seed: experts, random depth.

    * a term of the loss is a number without a gradient although it changes with parameters: it is
      only added, and nothing that has a gradient shows its value elsewhere in the loss (error).
    * an attribute was computed while the model was built from a parameter that nobody holds, or a
      plain tensor stays, never changes and gets a gradient at each call that nothing reads (error).

    A warning instead of an error where somebody left it out on purpose: the module is in eval mode
    while the model trains, it is one of several models and wholly untrained, or ``trainable`` of
    the parameter is False. One of several models is an error all the same if a backward pass
    reaches nothing else and nothing reads its gradients, or if the prediction comes through it from
    what is trained and it is as the seed has drawn it. Parameters that match
    ``Trainee(frozen=...)`` are left out, as are those of optimizers that were not stepped (a GAN's
    other half), and those of a loss that nobody goes backward from (`missing-update`).

    Assumes that what gets a gradient is meant to learn. Skipped without a torch optimizer; cut and
    unused are not told apart (warning) if the step is not reproducible.
    """
    seen = bench.observation
    yield from nothing_reached(seen)
    if not seen.fed:
        return
    yield from not_trained(bench, seen)
    yield from not_registered(bench, seen)
    yield from flattened(seen)
    missed = list(not_reached(bench, seen))
    yield from missed
    if not any(each.severity == "error" for each in missed):
        yield from terms_without_gradient(bench)
