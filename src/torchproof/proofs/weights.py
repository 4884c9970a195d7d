"""Constant weights: with every parameter the same number, a network's output can be worked out.

Independent of initialisation and seed, so that a test can hold an architecture to a number. Buffers
(running statistics, masks) are not touched: they are state, not weights.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Optional, Union

import torch
from torch.nn.parameter import is_lazy

from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterator

Value = Union[float, complex]


def set_constant_weights(module: torch.nn.Module, value: Value) -> None:
    """Set every parameter of a module to one value, in place.

    Tied parameters stay tied, parametrized ones (weight norm) have their originals set, buffers
    stay as they are. Nothing is set unless everything can be.

    Raises:
        UsageError: A parameter has no values that could be set (lazy, quantized, integer, sparse,
            on meta, made in inference mode), or cannot hold this one.
    """
    _check(module, value)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)


@contextmanager
def constant_weights(module: torch.nn.Module, value: Value) -> Iterator[None]:
    """Set every parameter to one value for the block; then the weights are back, bit by bit."""
    _check(module, value)
    saved = [(parameter, parameter.detach().clone()) for parameter in module.parameters()]
    try:
        set_constant_weights(module, value)
        yield
    finally:
        with torch.no_grad():
            for parameter, values in saved:
                parameter.copy_(values)


def _check(module: torch.nn.Module, value: Value) -> None:
    if not isinstance(module, torch.nn.Module):
        what = f"constant weights need a torch.nn.Module, not {type(module).__name__}"
        raise UsageError(what, "Pass the model itself.")
    if isinstance(value, bool) or not isinstance(value, (int, float, complex)):
        raise UsageError(f"the value of the weights is {value!r:.40}", "Give a number.")
    for name, part in module.named_modules():
        if _is_packed(part):
            _refuse(name or type(part).__name__, "is quantized", "Set them before it is quantized.")
    for name, parameter in module.named_parameters():
        obstacle = _obstacle(parameter, value)
        if obstacle:
            _refuse(name, *obstacle)


def _is_packed(part: torch.nn.Module) -> bool:
    """Tell whether a module keeps its weights in an object of torch's quantized kernels."""
    packed = any(isinstance(each, torch.ScriptObject) for each in vars(part).values())
    return packed or hasattr(part, "_packed_params")


def _obstacle(parameter: torch.nn.Parameter, value: Value) -> Optional[tuple[str, str]]:
    """Return why a parameter cannot be set to a value, and what to do; None if it can."""
    if is_lazy(parameter):
        return "is lazy and has no shape yet", "Set them after a first forward pass."
    if parameter.is_meta:
        return "is on the meta device", "Set them after module.to_empty(device=...)."
    if parameter.is_quantized or not (parameter.is_floating_point() or parameter.is_complex()):
        kind = str(parameter.dtype).replace("torch.", "")
        return f"is quantized or holds codes ({kind})", "Set them before it is quantized."
    if parameter.is_inference() and not torch.is_inference_mode_enabled():
        return "was made in inference mode", "Build the module outside of it."
    return _misfit(parameter, value)


def _misfit(parameter: torch.nn.Parameter, value: Value) -> Optional[tuple[str, str]]:
    """Return why a parameter cannot hold a value, found by trying on a copy."""
    try:
        parameter.detach().clone().fill_(value)
    except (RuntimeError, TypeError) as error:
        why = f"cannot hold {value!r:.40} ({str(error).splitlines()[0]:.80})"
        return why, f"Its type is {parameter.dtype}, its layout {parameter.layout}."
    return None


def _refuse(name: str, why: str, remedy: str) -> None:
    raise UsageError(f"the weights of {name} cannot be set: it {why}", remedy)
