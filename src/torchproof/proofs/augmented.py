"""Noise that the step adds to its inputs, seen again while predicting or evaluating."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.bits import distance, same
from torchproof.proofs.drawings import drawings
from torchproof.proofs.pairing import label_changes
from torchproof.proofs.probe import watch
from torchproof.proofs.replacement import restored
from torchproof.proofs.rule import Skip
from torchproof.proofs.seeds import fix_seed


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.batches import Parted
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.probe import Call
    from torchproof.proofs.trial import Trial

_NOISE = ("rand", "randn", "rand_like", "randn_like", "normal", "normal_", "uniform_", "bernoulli")


class Augmentation(NamedTuple):
    """A line that draws noise both in the step and without it, and what it does there."""

    name: str
    location: str
    gap: float


def augmentation(bench: Bench, use: Callable[[Trial], object]) -> Optional[Augmentation]:
    """Find noise that changes an input of the batch on its way into the model.

    It counts if the step draws it at the same line, if the labels are compared with a model's
    output and are not the inputs themselves (denoising), and if nothing is predicted twice.

    Args:
        bench: Where the trainee comes from.
        use: Predicts for the batch, or evaluates it.
    """
    draws = bench.observation.draws
    in_the_step = {(each.name, each.location) for each in draws if each.name in _NOISE}
    whole = parted(bench.trainee)
    if not in_the_step or not supervised(bench, whole):
        return None
    calls, drawn = zip(*(_used(bench, use, seed) for seed in (bench.seed, bench.seed + 1)))
    shared = [pair for pair in drawn[0] if pair in in_the_step and pair[1]]
    paths = [[call.path for call in each] for each in calls]
    if not shared or paths[0] != paths[1] or len(set(paths[0])) != len(paths[0]):
        return None
    gaps = [_gap(whole, *pair) for pair in zip(*calls)]
    name, location = shared[0]
    return Augmentation(name, str(location), max(gaps)) if any(gaps) else None


def supervised(bench: Bench, whole: Parted) -> bool:
    """Tell whether the loss compares labels of their own with an output."""
    if any(same(label, each) for label in whole.labels.values() for each in whole.inputs.values()):
        return False
    try:
        changes = bench.once(label_changes)
    except Skip:
        return False
    return any(mask.any() for change in changes for mask in change.told.values())


def _used(
    bench: Bench, use: Callable[[Trial], object], seed: int
) -> tuple[list[Call], list[tuple[str, Optional[str]]]]:
    """Use a trial; return the calls of models, and the lines that drew noise."""
    with ExitStack() as stack:
        trial = stack.enter_context(restored(bench))
        stack.enter_context(fix_seed(seed))
        probe = stack.enter_context(watch(trial.trainee))
        drawn = stack.enter_context(drawings())
        use(trial)
    lines = [(each.name, each.location) for each in drawn if each.moved and each.name in _NOISE]
    return probe.calls, lines


def _gap(whole: Parted, first: Call, second: Call) -> float:
    """Return how far two calls' arguments lie apart that are inputs of the batch, changed."""
    one, other = plain_tensors(first.arguments), plain_tensors(second.arguments)
    pairs = [(each, other[name]) for name, each in one.items() if name in other]
    return max(
        (distance(*pair) for pair in pairs if _is_changed(whole, pair[0]) and not same(*pair)),
        default=0.0,
    )


def _is_changed(whole: Parted, argument: torch.Tensor) -> bool:
    inputs = [each for each in whole.inputs.values() if each.shape == argument.shape]
    inputs = [each for each in inputs if each.dtype == argument.dtype]
    return (
        bool(inputs)
        and argument.is_floating_point()
        and not any(same(argument, each) for each in inputs)
    )
