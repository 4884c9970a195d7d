"""Experiments on predictions: the same shapes with other content.

An input is never dropped or reordered, only overwritten by another of the same batch: the values
stay in their domain, the shapes stay the same, and so the bits of what does not depend on it do.
"""

from __future__ import annotations

from contextlib import contextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any, Callable, Optional

import torch
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from torchproof.proofs.prediction.probe import undisturbed
from torchproof.proofs.process.seeds import fix_seed
from torchproof.proofs.rule import Skip
from torchproof.proofs.step.trial import parameters, state_tensors
from torchproof.proofs.tensors.trees import main_output, map_tensors


if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.trial import Trial

# Rounding shrinks by eps(float64)/eps(float32) = 2**-29 when the precision is raised, a dependency
# does not shrink at all; half way between the two, in powers of two, tells them apart.
_SHRINKS = 2.0**-14
_NARROW = (torch.float32, torch.float16, torch.bfloat16)
_WIDER: dict[Any, Any] = dict.fromkeys(
    (torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16), torch.Tensor.double
)


@contextmanager
def trained(bench: Bench) -> Iterator[Trial]:
    """Give a trainee that was trained for as many calls as the reference run has."""
    with bench.trial() as trial:
        for _ in bench.reference.losses:
            trial.step()
        yield trial


@contextmanager
def restored(bench: Bench) -> Iterator[Trial]:
    """Give a fresh trainee with the reference run's final parameters and buffers.

    No step is run, unless parameters or buffers come to be in it.
    """
    with bench.trial() as trial:
        tensors = state_tensors(trial.trainee)
        final = bench.reference.state
        if not _fits(final, tensors):
            for _ in bench.reference.losses:
                trial.step()
            yield trial
            return
        for name, each in final.items():
            tensors[name].data.copy_(each)
        yield trial


def _fits(state: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor]) -> bool:
    return not any(map(is_lazy, tensors.values())) and all(
        name in tensors and tensors[name].shape == each.shape for name, each in state.items()
    )


def predict_inputs(bench: Bench) -> Any:
    """Return what is predicted for: the batch, or what the step calls the model with.

    Raises:
        Skip: The trainee brings no predict and none can be made.
    """
    if bench.trainee.predict is not None:
        return bench.trainee.batch
    (key,) = bench.trainee.models
    given = (call.arguments for call in bench.once(undisturbed).calls if call.path == key)
    found = next(given, None)
    if found is None:
        raise Skip("the step does not call the model itself; give Trainee a predict")
    return found


def predicted(bench: Bench, trial: Trial, inputs: Any = None) -> torch.Tensor:
    """Predict from the bench's seed and copy the tensor that the prediction is about.

    Raises:
        Skip: There is none, or it does not work for these inputs.
    """
    try:
        with fix_seed(bench.seed):
            return about(trial.predict(inputs))
    except Skip:
        raise
    except Exception as error:
        what = f"predict fails for other values ({type(error).__name__}: {error})"
        raise Skip(what) from error


def about(prediction: Any) -> torch.Tensor:
    """Copy the tensor that a prediction is about.

    Raises:
        Skip: There is none.
    """
    output = main_output(prediction)
    if output is None:
        raise Skip("the prediction holds no tensor with a batch dimension")
    return output.detach().clone()


def all_rows(inputs: Any, row: int, rows: int) -> Any:
    """Return the inputs with one row in every place."""

    def repeat(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0:
            return tensor
        return tensor.detach()[[row % rows] * rows].requires_grad_(tensor.requires_grad)

    return map_tensors(inputs, repeat)


def disturb(trial: Trial, noise: int, only: Optional[Container[str]] = None) -> None:
    """Change the models' weights by some times their own size, from a generator of its own.

    What nothing can train, the row of an embedding that stands for padding, stays as it is.

    Args:
        trial: Whose models.
        noise: How many times, and the generator's seed.
        only: The names of the parameters to change; None for all.
    """
    generator = torch.Generator().manual_seed(noise)
    untrained = _padding_rows(trial)
    with torch.no_grad():
        for name, each in parameters(trial.trainee).items():
            if only is not None and name not in only:
                continue
            draw = torch.randn(each.shape, generator=generator).to(each)
            if id(each) in untrained:
                draw[untrained[id(each)]] = 0
            each.data.add_(noise * draw * (1 + each.abs().mean()))


def _padding_rows(trial: Trial) -> dict[int, int]:
    """Return the row for padding by the id of the weight, of embeddings that share it with none."""
    modules = [part for model in trial.trainee.models.values() for part in model.modules()]
    owners: dict[int, set[torch.nn.Module]] = {}
    for part in modules:
        for each in part.parameters(recurse=False):
            owners.setdefault(id(each), set()).add(part)
    return {
        id(part.weight): part.padding_idx
        for part in modules
        if isinstance(part, (torch.nn.Embedding, torch.nn.EmbeddingBag))
        if part.padding_idx is not None and owners[id(part.weight)] == {part}
    }


def persists(gap: float, in_double: Callable[[], float]) -> bool:
    """Tell a dependency from rounding: only the latter shrinks when it is repeated in float64.

    Args:
        gap: The difference that was found.
        in_double: Finds the same difference in float64.

    Raises:
        Skip: It cannot be found in float64.
    """
    try:
        with Unrounded():
            # What is not finite has no size; outputs are of the order of 1.
            return in_double() >= (gap if isfinite(gap) else 1.0) * _SHRINKS
    except Exception as error:
        what = f"the prediction moved by {gap:.3g}; float64 cannot be tried"
        raise Skip(f"{what} ({type(error).__name__}: {error})") from error


class Unrounded(TorchFunctionMode):
    """Leaves out the casts to a narrower type that code makes itself: they round in float64 too.

    Attention in float32 whatever the model is in (GPT-J, CodeGen), norms, rotary angles. It begins
    with `widen`, as what ``build`` makes is turned into float64 as a whole.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Optional[dict[str, Any]] = None
    ) -> Any:
        """Call the function with float64 for every narrower type that it is asked for."""
        if torch.get_default_dtype() != torch.float64:
            return func(*args, **(kwargs or {}))
        wide = {name: _wide(each) for name, each in (kwargs or {}).items()}
        return _WIDER.get(func, func)(*map(_wide, args), **wide)


def _wide(argument: Any) -> Any:
    return torch.float64 if isinstance(argument, torch.dtype) and argument in _NARROW else argument


def widen(trial: Trial, inputs: Any) -> Any:
    """Turn the trainee's models and the default into float64; return the inputs in it."""
    for model in trial.trainee.models.values():
        doubled(model)
    torch.set_default_dtype(torch.float64)
    return in_float64(inputs)


def doubled(module: torch.nn.Module) -> torch.nn.Module:
    """Turn a module into float64, and the tensors that it holds without having registered them."""
    for part in module.to(torch.float64).modules():
        for name, value in list(vars(part).items()):
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                setattr(part, name, value.double())
    return module


def in_float64(tree: Any) -> Any:
    """Return a tree whose floating-point tensors are float64."""
    return map_tensors(tree, lambda each: each.double() if each.is_floating_point() else each)
