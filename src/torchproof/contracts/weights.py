"""The weights a model loads: names, shapes, dtypes, and which of them are one tensor."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.parameter import is_lazy

from torchproof.contracts.model import Entry
from torchproof.errors import UsageError


def entries(model: torch.nn.Module) -> tuple[Entry, ...]:
    """Return (name, shape, dtype, ``parameter`` or ``buffer``) of all that a checkpoint holds."""
    check(model)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return tuple(
        Entry(name, tuple(value.shape), _word(value), _kind(name in parameters))
        for name, value in sorted(model.state_dict().items())
        if isinstance(value, torch.Tensor)
    )


def tied(model: torch.nn.Module) -> tuple[tuple[str, ...], ...]:
    """Return the groups of parameters that are one tensor, which a state dict does not show."""
    groups: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return tuple(sorted(tuple(sorted(names)) for names in groups.values() if len(names) > 1))


def check(model: Any) -> None:
    """Refuse what has no weights to compare.

    Raises:
        UsageError: It is no module, or a weight is lazy or quantized.
    """
    if not isinstance(model, torch.nn.Module):
        what = f"an architecture is that of a torch.nn.Module, not of {type(model).__name__}"
        raise UsageError(what, "Pass the model itself.")
    for name, part in model.named_modules():
        if hasattr(part, "_packed_params"):
            _refuse(name or type(part).__name__, "is quantized", "before it is quantized")
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(value):
            _refuse(name, "is lazy and has no shape yet", "after a first forward pass")
        if value.is_quantized:
            _refuse(name, "is quantized", "before it is quantized")


def on_meta(model: torch.nn.Module) -> bool:
    """Return True if a weight is on the meta device: it has a shape and no values."""
    return any(value.is_meta for value in (*model.parameters(), *model.buffers()))


def unwrapped(model: Any) -> Any:
    """Return the module behind `torch.compile`."""
    return getattr(model, "_orig_mod", model)


def _kind(parameter: bool) -> str:  # noqa: FBT001 - the question is in the name
    return "parameter" if parameter else "buffer"


def _word(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _refuse(name: str, why: str, when: str) -> None:
    what = f"the architecture cannot be taken: {name} {why}"
    raise UsageError(what, f"Take it {when}.")
