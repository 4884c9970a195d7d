"""Parameters that any layer may hold, whose units began equal and can never part.

Units are slices along one axis: the columns of ``x @ weight``, the factors of an embedding, the
components of a mixture. Their gradients are equal though other values would make them differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from torchproof.proofs.prediction.replacement import Unrounded, disturb, widen
from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import HALF_THE_DIGITS


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation
    from torchproof.proofs.step.trial import Trial

    Axes = dict[str, int]

_FEWEST_DIMS = 2


def symmetric_units(bench: Bench, seen: Observation, axes: dict[str, list[int]]) -> Axes:
    """Return the parameters whose units stay copies of one, each with the axis of its units.

    In float64 the units have equal gradients at every update, and at the first update no longer
    have once noise is put on all of these parameters: it is their start alone that holds them.

    Args:
        bench: Where the trainee comes from.
        seen: What its step did.
        axes: The parameters to look at, each with the axes that may be that of its units.
    """
    found = {
        name: axis
        for name, several in axes.items()
        for axis in several
        if _stay_equal(seen.before[name], seen.after[name], axis)
    }
    if not found:
        return {}
    calls = len(bench.reference.losses)
    try:
        held = _equal_gradients(bench, found, calls)
        parted = _equal_gradients(bench, found, calls, noise=1)
    except Exception:  # noqa: BLE001 - the user's code need not work in another precision
        return {}
    alike = [name for name in found if all(held[name]) and parted[name][:1] == [False]]
    return {name: found[name] for name in alike}


def axes_of_units(before: torch.Tensor) -> list[int]:
    """Return the axes along which all slices of a parameter are the same."""
    several = before.dim() >= _FEWEST_DIMS and before.is_floating_point() and before.numel() > 0
    axes = range(before.dim()) if several else range(0)
    return [axis for axis in axes if before.shape[axis] > 1 and not _spread(before, axis)]


def _stay_equal(before: torch.Tensor, after: torch.Tensor, axis: int) -> bool:
    """Tell whether slices are as equal after the last call as rounding lets them be."""
    moved = float((after - before).abs().max()) if after.shape == before.shape else 0.0
    return moved > 0 and _spread(after, axis) <= moved * torch.finfo(before.dtype).eps ** 0.5


def _spread(tensor: torch.Tensor, axis: int) -> float:
    return float((tensor - tensor.narrow(axis, 0, 1)).abs().max())


def _equal_gradients(
    bench: Bench, axes: Axes, calls: int, *, noise: int = 0
) -> dict[str, list[bool]]:
    """Tell of each parameter, at each of its updates in float64, if its units' gradients agree."""
    equal: dict[str, list[bool]] = {name: [] for name in axes}
    with bench.trial() as trial:
        trial.trainee.batch = widen(trial, trial.trainee.batch)
        if noise:
            disturb(trial, noise, only=axes)

        def look(optimizer: torch.optim.Optimizer) -> None:
            for name, gradient in _gradients(trial, optimizer, axes).items():
                limit = HALF_THE_DIGITS * float(gradient.abs().max())
                equal[name].append(_spread(gradient, axes[name]) <= limit)

        with Unrounded(), optimizer_hooks(before=look):
            for _ in range(calls):
                trial.step()
    return equal


def _gradients(trial: Trial, optimizer: Any, names: Any) -> dict[str, torch.Tensor]:
    """Return the gradients that an optimizer finds at the parameters of these names."""
    held = {id(each) for each in held_by([optimizer])}
    named = parameters(trial.trainee)
    given = {name: named[name].grad for name in names if id(named[name]) in held}
    return {name: each.detach().to_dense() for name, each in given.items() if each is not None}
