"""What others have published, asked as their documentation shows; each where it is installed.

torchtest (0.5) trains with a step of its own on a pair of inputs and labels. pytest-torch (1.1)
runs the program's own step. What a tool cannot be asked about counts as not caught.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

import torchproof


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torchproof import Trainee

_STEPS = 20


class CannotAskError(Exception):
    """The tool takes no program of this kind."""


def torchtest(build: Callable[[], Trainee]) -> str:
    """``torchtest.test_suite``: parameters change, no NaN, no infinity; return its complaint."""
    from torchtest import torchtest as tool

    with torchproof.fix_seed(0):
        trainee = build()
        if len(trainee.models) != 1 or set(trainee.batch) != {"x", "y"}:
            raise CannotAskError("it takes one model and a pair of inputs and labels")
        y = trainee.batch["y"]
        loss = functional.mse_loss if y.is_floating_point() else functional.cross_entropy
        (model,) = trainee.models.values()
        optimizer = _optimizers(trainee)[0]
        own = (tool.VariablesChangeException, tool.NaNTensorException, tool.InfTensorException)
        switches = dict.fromkeys(("test_vars_change", "test_nan_vals", "test_inf_vals"), True)
        try:
            tool.test_suite(model, loss, optimizer, [trainee.batch["x"], y], **switches)
        except own as error:
            return f"{type(error).__name__}: {error}"
        except Exception as error:
            raise CannotAskError("its own training step does not run the model") from error
    return ""


def pytest_torch(build: Callable[[], Trainee]) -> str:
    """``run_training(...).assert_healthy`` and ``assert_resume_equivalent`` on the own step."""
    from pytest_torch import training_loop as tool

    made: list[Trainee] = []

    def setup() -> Any:
        made[:] = [build()]
        model = torch.nn.ModuleDict({f"model_{key}": each for key, each in made[0].models.items()})
        return tool.TrainingSetup(model, _optimizers(made[0]), made[0].scheduler)

    def step(_: Any, batch: Any) -> Any:
        return made[0].step(batch)

    with torchproof.fix_seed(0):
        batch = build().batch
        try:
            run = tool.run_training(setup, lambda _: batch, step, steps=_STEPS)
            run.assert_healthy()
            tool.assert_resume_equivalent(setup, lambda _: batch, step)
        except AssertionError as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return ""


def _optimizers(trainee: Trainee) -> list[torch.optim.Optimizer]:
    """Return what the program names, or what its step can see."""
    named = trainee.optimizer
    named = named if isinstance(named, (list, tuple)) else [named]
    found = [each for each in named if isinstance(each, torch.optim.Optimizer)]
    found = found or list(_seen(trainee.step, depth=3))
    if not found:
        raise CannotAskError("it needs the optimizer, and the step hides it")
    return found


def _seen(function: Any, depth: int) -> Iterator[torch.optim.Optimizer]:
    """Yield the optimizers that a function and the functions it holds close over."""
    if depth == 0 or not inspect.isfunction(function):
        return
    for value in inspect.getclosurevars(function).nonlocals.values():
        if isinstance(value, torch.optim.Optimizer):
            yield value
        yield from _seen(value, depth - 1)
