"""Noise that the step adds to its inputs, seen again while predicting or evaluating."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.pairing import aligned, label_changes
from torchproof.proofs.prediction.probe import undisturbed, watch
from torchproof.proofs.prediction.replacement import restored
from torchproof.proofs.prediction.windows import cut_from
from torchproof.proofs.process.drawings import drawings
from torchproof.proofs.process.outside_draws import NUMPY, PYTHON
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip
from torchproof.proofs.tensors.bits import distance, same


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.batches import Parted
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.prediction.probe import Call
    from torchproof.proofs.step.trial import Trial

_NOISE = (
    *("rand", "randn", "rand_like", "randn_like", "normal", "normal_", "uniform_", "bernoulli"),
    *("randint", "randint_like", "bernoulli_"),
    *(f"numpy.random.{name}" for name in NUMPY),
    *(f"random.{name}" for name in PYTHON),
)
# A flip is decided alike from two seeds as often as not.
_SEEDS = 8


class Augmentation(NamedTuple):
    """A line that draws noise both in the step and without it, and what it does there."""

    name: str
    location: str
    gap: float


def augmentation(bench: Bench, use: Callable[[Trial], object]) -> Optional[Augmentation]:
    """Find noise that changes an input of the batch on its way into the model.

    It counts if the step draws it at the same line, if the labels are compared with a model's
    output and are neither the inputs themselves (denoising) nor what a model's inputs are made of
    (diffusion), and if nothing is predicted twice. Cutting a window out of each row is a change.

    Args:
        bench: Where the trainee comes from.
        use: Predicts for the batch, or evaluates it.
    """
    draws = bench.observation.draws
    in_the_step = {(each.name, each.location) for each in draws if each.name in _NOISE}
    whole = parted(bench.trainee)
    if not in_the_step or not supervised(bench, whole) or made_of_labels(bench):
        return None
    calls, drawn = _used(bench, use, bench.seed)
    shared = [pair for pair in drawn if pair in in_the_step and pair[1]]
    if not shared or len({call.path for call in calls}) != len(calls):
        return None
    name, location = shared[0]
    others = (_used(bench, use, bench.seed + more)[0] for more in range(1, _SEEDS))
    gap = next(filter(None, (_largest_gap(whole, calls, other) for other in others)), 0.0)
    return Augmentation(name, str(location), gap) if gap else None


def supervised(bench: Bench, whole: Parted) -> bool:
    """Tell whether the loss compares labels of their own with an output."""
    if any(same(label, each) for label in whole.labels.values() for each in whole.inputs.values()):
        return False
    try:
        changes = bench.once(label_changes)
    except Skip:
        return False
    return any(mask.any() for change in changes for mask in change.told.values())


def made_of_labels(bench: Bench) -> bool:
    """Tell whether the step gives a model numbers that it makes of labels, as diffusion does."""
    before = bench.once(undisturbed)
    changes = bench.once(label_changes)
    calls = [pair for change in changes for pair in aligned(before, change.probe)]
    arguments = [pair for each in calls for pair in _in_common(*each)]
    return any(one.is_floating_point() and not same(one, other) for one, other in arguments)


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


def _largest_gap(whole: Parted, calls: list[Call], others: list[Call]) -> float:
    if [call.path for call in calls] != [call.path for call in others]:
        return 0.0
    return max((_gap(whole, *pair) for pair in zip(calls, others)), default=0.0)


def _gap(whole: Parted, first: Call, second: Call) -> float:
    """Return how far two calls' arguments lie apart that are inputs of the batch, changed."""
    pairs = [pair for pair in _in_common(first, second) if not same(*pair)]
    changed = [pair for pair in pairs if any(_is_changed(whole, each) for each in pair)]
    return max((distance(*pair) for pair in changed), default=0.0)


def _in_common(first: Call, second: Call) -> list[tuple[torch.Tensor, torch.Tensor]]:
    one, other = plain_tensors(first.arguments), plain_tensors(second.arguments)
    return [(each, other[name]) for name, each in one.items() if name in other]


def _is_changed(whole: Parted, argument: torch.Tensor) -> bool:
    """Tell whether an argument has the shape of an input and is another, or is cut from one."""
    inputs = [each for each in whole.inputs.values() if each.dtype == argument.dtype]
    alike = [each for each in inputs if each.shape == argument.shape]
    if not argument.is_floating_point() or any(same(argument, each) for each in alike):
        return False
    return bool(alike) or any(cut_from(argument, each) for each in inputs)
