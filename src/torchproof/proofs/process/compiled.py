"""Models that ``torch.compile`` runs, and functions: found, and run without it."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Optional, Union

import torch


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torchproof.proofs.trainee import Trainee

    Compiled = Union[torch.nn.Module, Callable[..., object]]

_DEPTH = 3


def compiled_part(trainee: Trainee) -> Optional[Compiled]:
    """Return the first that is compiled: a model, a part of one, or what the functions refer to."""
    for model in trainee.models.values():
        for part in model.modules():
            compiled = getattr(part, "_compiled_call_impl", None) is not None
            inner: Any = getattr(part, "_orig_mod", part if compiled else None)
            if isinstance(inner, torch.nn.Module):
                return inner
    functions = (trainee.step, trainee.predict, trainee.evaluate)
    return next((found for each in functions for found in _referred(each, _DEPTH)), None)


def _referred(value: Any, depth: int) -> Iterator[Compiled]:
    """Give what is compiled of a value and of what its code refers to from outside."""
    inner: Any = getattr(value, "_orig_mod", getattr(value, "_torchdynamo_orig_callable", None))
    if callable(inner):
        yield inner
    elif depth and (inspect.isfunction(value) or inspect.ismethod(value)):
        written = inspect.unwrap(value)
        around = inspect.getclosurevars(getattr(written, "__func__", written))
        held = vars(getattr(value, "__self__", None)) if inspect.ismethod(value) else {}
        for each in {**around.globals, **around.nonlocals, **held}.values():
            yield from _referred(each, depth - 1)


def interpreted(trainee: Trainee) -> AbstractContextManager[Any]:
    """Run the trainee's compiled models as they are written; before torch 2.6 nothing changes.

    Hooks and modes of an experiment would be compiled too, once for each, until dynamo gives up.
    """
    compiler: Any = torch.compiler
    if compiled_part(trainee) is None or not hasattr(compiler, "set_stance"):
        return nullcontext()
    stance: AbstractContextManager[Any] = compiler.set_stance("force_eager")
    return stance
