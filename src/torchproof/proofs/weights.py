"""Constant weights: with every parameter the same number, a network's output can be worked out.

Independent of initialisation and seed, so that a test can hold an architecture to a number. Buffers
(running statistics, masks) are not touched: they are state, not weights.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Union

import torch
from torch.nn.parameter import is_lazy

from torchproof.errors import UsageError


if TYPE_CHECKING:
    from collections.abc import Iterator

Value = Union[float, complex]


def set_constant_weights(module: torch.nn.Module, value: Value) -> None:
    """Set every parameter of a module to one value, in place.

    Tied parameters stay tied, parametrized ones (weight norm) have their originals set, buffers
    stay as they are.

    Raises:
        UsageError: A parameter has no values that could be set: lazy, quantized or on meta.
    """
    _check(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)


@contextmanager
def constant_weights(module: torch.nn.Module, value: Value) -> Iterator[None]:
    """Set every parameter to one value for the block; then the weights are back, bit by bit."""
    _check(module)
    saved = [(parameter, parameter.detach().clone()) for parameter in module.parameters()]
    try:
        set_constant_weights(module, value)
        yield
    finally:
        with torch.no_grad():
            for parameter, values in saved:
                parameter.copy_(values)


def _check(module: torch.nn.Module) -> None:
    if not isinstance(module, torch.nn.Module):
        what = f"constant weights need a torch.nn.Module, not {type(module).__name__}"
        raise UsageError(what, "Pass the model itself.")
    for name, part in module.named_modules():
        if hasattr(part, "_packed_params"):
            _refuse(name or type(part).__name__, "is quantized", "before it is quantized")
    for name, parameter in module.named_parameters():
        if is_lazy(parameter):
            _refuse(name, "is lazy and has no shape yet", "after a first forward pass")
        if parameter.is_quantized:
            _refuse(name, "is quantized", "before it is quantized")
        if parameter.is_meta:
            _refuse(name, "is on the meta device", "after module.to_empty(device=...)")


def _refuse(name: str, why: str, when: str) -> None:
    raise UsageError(f"the weights of {name} cannot be set: it {why}", f"Set them {when}.")
