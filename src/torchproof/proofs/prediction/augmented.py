"""Noise that the step adds to its inputs, seen again while predicting or evaluating."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

import torch

from torchproof.proofs.batches import parted, plain_tensors
from torchproof.proofs.prediction.pairing import aligned, label_changes, labels_act
from torchproof.proofs.prediction.probe import undisturbed, watch
from torchproof.proofs.prediction.replacement import restored
from torchproof.proofs.prediction.windows import cut_from, has_window_size
from torchproof.proofs.process.drawings import drawings
from torchproof.proofs.process.outside_draws import NUMPY, PYTHON
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip
from torchproof.proofs.tensors.bits import distance, elements_that_differ, same


if TYPE_CHECKING:
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
    (diffusion), and if nothing is predicted twice. Cutting a window out of each row is a change;
    so is noise in a window, which shows on inputs whose numbers are all equal.

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
    gap = gap or _gap_in_windows(bench, use, whole)
    return Augmentation(name, str(location), gap) if gap else None


def supervised(bench: Bench, whole: Parted) -> bool:
    """Tell whether the loss compares labels of their own with an output."""
    if any(same(label, each) for label in whole.labels.values() for each in whole.inputs.values()):
        return False
    try:
        return labels_act(bench)
    except Skip:
        return False


def made_of_labels(bench: Bench) -> bool:
    """Tell whether the step gives a model numbers that it makes of labels, as diffusion does."""
    before = bench.once(undisturbed)
    changes = bench.once(label_changes)
    calls = [pair for change in changes for pair in aligned(before, change.probe)]
    arguments = [pair for each in calls for pair in _in_common(*each)]
    return any(one.is_floating_point() and not same(one, other) for one, other in arguments)


def _used(
    bench: Bench, use: Callable[[Trial], object], seed: int, batch: Any = None
) -> tuple[list[Call], list[tuple[str, Optional[str]]]]:
    """Use a trial, on this batch if any; return the calls of models, and the lines of noise."""
    with ExitStack() as stack:
        trial = stack.enter_context(restored(bench))
        if batch is not None:
            trial.trainee.batch = batch
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


def _gap_in_windows(bench: Bench, use: Callable[[Trial], object], whole: Parted) -> float:
    """Return how far noise moves what a model is given of inputs whose numbers are all equal.

    Only numbers count that move with the inputs as well, in windows of one: no choice of places
    changes them, and noise that is an argument of its own does not move with the inputs.
    """
    flat, other = (
        whole.change(partial(_flat, end), labels=False) for end in (torch.max, torch.min)
    )
    seeds = ((flat, 0), (flat, 1), (other, 0))
    try:
        calls = [_used(bench, use, bench.seed + more, batch)[0] for batch, more in seeds]
    except Exception:  # noqa: BLE001 - the user's code need not run on such inputs
        return 0.0
    if any([call.path for call in each] != [call.path for call in calls[0]] for each in calls):
        return 0.0
    return max((_moved_twice(whole, *same_call) for same_call in zip(*calls)), default=0.0)


def _flat(end: Callable[[torch.Tensor], torch.Tensor], tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor of its largest number alone, or its smallest; whole numbers stay."""
    if not tensor.is_floating_point() or not tensor.numel():
        return tensor
    return torch.full_like(tensor, float(end(tensor.detach())))


def _moved_twice(whole: Parted, call: Call, reseeded: Call, moved: Call) -> float:
    """Return how far the noise moves the numbers of windows that the inputs move as well."""
    gaps = [0.0]
    for (one, two), (_, three) in zip(_in_common(call, reseeded), _in_common(call, moved)):
        finite = all(bool(each.isfinite().all()) for each in (one, two, three))
        if finite and one.shape == two.shape == three.shape and _is_of_window_size(whole, one):
            both = elements_that_differ(one, two) & elements_that_differ(one, three)
            gaps.append(distance(one[both], two[both]))
    return max(gaps)


def _is_of_window_size(whole: Parted, argument: torch.Tensor) -> bool:
    inputs = [each for each in whole.inputs.values() if each.dtype == argument.dtype]
    return argument.is_floating_point() and any(has_window_size(argument, each) for each in inputs)


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
