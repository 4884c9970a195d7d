"""The model as inference uses it, where the trainee brings no ``predict`` of its own.

Only the step knows how a batch becomes the model's arguments, so the step is asked: a hook on the
model catches the arguments of its first call, and the model is called with them in eval mode.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from torchproof.proofs.rule import Skip
from torchproof.proofs.step.loss_calls import is_wrapped
from torchproof.proofs.tensors.trees import clone, named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator


class Arguments(NamedTuple):
    """What a model was called with."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@contextmanager
def first_call(model: torch.nn.Module) -> Iterator[list[Arguments]]:
    """Catch the arguments of the model's first call in the block; the list holds one or none.

    A call inside a transform of torch.func is passed over: its tensors are gone after it.
    """
    calls: list[Arguments] = []

    def catch(_: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not calls and not any(map(is_wrapped, named_tensors((args, kwargs)).values())):
            calls.append(clone(Arguments(args, kwargs)))

    if isinstance(model, torch.jit.ScriptModule):
        yield calls  # it takes no hooks
        return
    # A compiled model would compile the hook too. Where nothing is compiled, dynamo is not loaded,
    # and loading it takes seconds.
    compiling = "torch._dynamo" in sys.modules
    compiler: Any = torch.compiler
    hook = compiler.disable(catch) if compiling else catch
    handle = model.register_forward_pre_hook(hook, prepend=True, with_kwargs=True)
    try:
        yield calls
    finally:
        handle.remove()


def call_in_eval(model: torch.nn.Module, arguments: Arguments, *, graph: bool = False) -> Any:
    """Call the model in eval mode; every module gets its own mode back.

    Args:
        model: The model.
        arguments: What it is called with, copied.
        graph: Keep the autograd graph of what it returns.

    Raises:
        Skip: The model takes other arguments in eval mode.
    """
    args, kwargs = clone(arguments)
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.set_grad_enabled(graph):
            return model(*args, **kwargs)
    except Exception as error:
        what = "the model cannot be called in eval mode with the step's arguments"
        raise Skip(f"{what} ({type(error).__name__}: {error}); give Trainee a predict") from error
    finally:
        for module, training in modes:
            module.training = training
