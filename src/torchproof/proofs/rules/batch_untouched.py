"""The step must leave its batch as it found it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from torchproof.proofs.bits import different, distance
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.rule import rule
from torchproof.proofs.trees import clone, named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench

ID = "batch-untouched"


@rule(
    ID,
    summary="the step does not change the tensors of its batch in place",
    source="Humbatova et al., ICSE 2020 (preprocessing); x.div_(255) on a view of the data set",
    needs=("observation",),
    severity="error",
)
def batch_untouched(bench: Bench) -> Iterator[Finding]:
    """A second call with the same batch sees the same numbers.

    Decided by comparing the batch after a call with the batch before. If it has changed, the same
    tensors go through the step again: where the second call leaves them as they are (labels of
    padding set to -100), nothing accumulates and it is an info; where it changes them again, every
    epoch over the data would see other data (error).

    Assumes that data are used more than once. Skipped if the step cannot be watched.
    """
    seen = bench.observation
    original = named_tensors(seen.trial.trainee.batch)
    changed = different(original, seen.trial.given)
    if not changed:
        return
    again = _changed_again(bench)
    names = again or changed
    gaps = [distance(original[name], seen.trial.given[name]) for name in names]
    yield Finding(
        ID,
        "error" if again else "info",
        f"The step changes {_called(names)} of its batch in place"
        + (", a little more with every call." if again else "; a second call leaves it alone."),
        evidence={
            "tensors changed": len(names),
            "largest change": max(gaps, default=0.0),
            "changed again by a second call": bool(again),
        },
        location=None,
        remedy="x = x / 255  # instead of x.div_(255) and x /= 255",
    )


def _called(names: list[str]) -> str:
    return listed([name or "the tensor" for name in names])


def _changed_again(bench: Bench) -> list[str]:
    """Name what a step changes in a batch that it has changed before."""
    with bench.trial() as trial:
        trial.step()
        batch = clone(trial.trainee.batch)
        with torch.no_grad():
            for name, each in named_tensors(batch).items():
                each.copy_(trial.given[name])
        trial.trainee.batch = batch
        trial.step()
        return different(named_tensors(batch), trial.given)
