"""The step must leave its batch as it found it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.labels.aliases import labels_in_the_inputs
from torchproof.proofs.rule import rule
from torchproof.proofs.tensors.bits import different, distance
from torchproof.proofs.tensors.trees import clone, named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial

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
    tensors go through the step again: where the second call changes them again, every epoch over
    the data would see other data (error). Where it leaves them alone, a fresh trainee gets them as
    they have become: an error if its first call ends with another loss or other weights than with
    the batch as it was, since what was trained on first is gone then; else (labels of padding set
    to -100 before they are used) an info. It is an error as well if what is written to is a part of
    a tensor that goes to the loss as its target, and a model is given the whole of it or another
    part: what was meant for the labels has changed the inputs.

    Assumes that data are used more than once. Skipped if the step cannot be watched. Whether a step
    that is not reproducible trains otherwise is left open.
    """
    seen = bench.observation
    original = named_tensors(seen.trial.trainee.batch)
    changed = different(original, seen.trial.given)
    if not changed:
        return
    again = _changed_again(bench)
    otherwise = not again and _trains_otherwise(bench)
    alias = None if again or otherwise else labels_in_the_inputs(bench)
    names = again or changed
    gaps = [distance(original[name], seen.trial.given[name]) for name in names]
    what = f"The step changes {_called(names)} of its batch in place"
    if again:
        what += ", a little more with every call."
    elif otherwise:
        what += ", and trains otherwise on what it has made of it."
    elif alias:
        what += ": the labels are a part of it, and what is written to them a model reads as well."
    else:
        what += "; a second call leaves it alone."
    yield Finding(
        ID,
        "error" if again or otherwise or alias else "info",
        what,
        evidence={
            "tensors changed": len(names),
            "largest change": max(gaps, default=0.0),
            "changed again by a second call": bool(again),
        },
        location=alias.location if alias else None,
        remedy="labels = labels.masked_fill(...)  # a copy, instead of masked_fill_"
        if alias
        else "x = x / 255  # instead of x.div_(255) and x /= 255",
    )


def _called(names: list[str]) -> str:
    told = [f"element {name}" if name.isdigit() else name for name in names]
    return listed([name or "the tensor" for name in told])


def _changed_again(bench: Bench) -> list[str]:
    """Name what a step changes in a batch that it has changed before."""
    with bench.trial() as trial:
        trial.step()
        trial.trainee.batch = batch = _become(trial)
        trial.step()
        return different(named_tensors(batch), trial.given)


def _trains_otherwise(bench: Bench) -> bool:
    """Tell whether the first call of the step learns something else from what it leaves behind."""
    if bench.reason_against("reproducible"):
        return False
    with bench.trial() as first:
        first.step()
        batch, learned = _become(first), first.state()
    with bench.trial() as second:
        second.trainee.batch = batch
        second.step()
        return bool(different(learned, second.state())) or first.losses != second.losses


def _become(trial: Trial) -> Any:
    """Return the batch as the last call of the step has left it."""
    batch = clone(trial.trainee.batch)
    with torch.no_grad():
        for name, each in named_tensors(batch).items():
            each.copy_(trial.given[name])
    return batch
