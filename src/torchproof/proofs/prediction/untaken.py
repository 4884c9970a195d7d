"""Batch norms that learn in evaluation mode by statistics that were never taken."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from torchproof.proofs.step.events import held_by


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torchproof.proofs.bench import Bench


def left_untaken(bench: Bench, key: str) -> list[str]:
    """Name the batch norms of a model that ``build`` has left in evaluation mode by oversight.

    They have seen no batch, so that there are no statistics worth keeping; what they are a part of
    is in evaluation mode with them, as it is not where batch norms alone are frozen; and one call
    of ``train()`` before the first step keeps them in training mode, so that no line of the step
    wants them otherwise.
    """
    with bench.trial() as trial:
        model = trial.trainee.models[key]
        left = [name for name in _left(model) if f"{name}.weight" in _learned(bench, key)]
        if not left:
            return []
        for each in trial.trainee.models.values():
            each.train()
        with _training(model, left) as trained, suppress(Exception):  # a batch may be too small
            trial.step()
    return [name for name in left if trained.get(name, False)]


def _left(model: torch.nn.Module) -> Iterator[str]:
    modules = dict(model.named_modules())
    for name, module in modules.items():
        around = modules[name.rpartition(".")[0]]
        if isinstance(module, _BatchNorm) and not (module.training or around.training):
            yield from [name] if _untaken(module) else []


def _untaken(norm: Any) -> bool:
    """Tell whether the statistics are those that a batch norm begins with."""
    if norm.running_mean is None or norm.num_batches_tracked is None:
        return False
    unit = bool((norm.running_var == 1).all()) and not bool(norm.running_mean.any())
    return unit and int(norm.num_batches_tracked) == 0


def _learned(bench: Bench, key: str) -> set[str]:
    """Name the parameters of a model that an optimizer holds and that got a gradient."""
    seen = bench.observation
    held = {id(each) for each in held_by(step.optimizer for step in seen.steps)}
    named = seen.trial.trainee.models[key].named_parameters()
    return {name for name, each in named if id(each) in held & seen.fed.keys()}


@contextmanager
def _training(model: torch.nn.Module, names: Iterable[str]) -> Iterator[dict[str, bool]]:
    """Tell of modules that are called with gradients whether they are in training mode then."""
    found: dict[str, bool] = {}

    def note(name: str, module: torch.nn.Module, _: Any) -> None:
        if torch.is_grad_enabled():
            found[name] = found.get(name, True) and module.training

    with ExitStack() as stack:
        for name in names:
            handle = model.get_submodule(name).register_forward_pre_hook(partial(note, name))
            stack.callback(handle.remove)
        yield found
