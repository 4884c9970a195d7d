"""Inputs made from an example's form, not from its values: the same on every machine.

==================  ============================================================================
in the example      in the probe
==================  ============================================================================
floating numbers    k / 64 from a hash of the input's name, times a scale; not negative where the
                    example has nothing negative
0 and 1 as floats   as given: a mask or a graph
token ids           a hash modulo the number of rows of the embedding that they were seen in
bytes (uint8)       a hash modulo 256
other integers,     as given: an edge list, lengths, a mask; their values belong to the contract
booleans
==================  ============================================================================
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

import torch

from torchproof.contracts.fill import integers
from torchproof.contracts.model import Input
from torchproof.errors import UsageError
from torchproof.proofs.step.inference import Arguments
from torchproof.proofs.tensors.trees import map_tensors, named_tensors


SCALED = ("numbers", "positive")

_BYTES = 256
_STEPS = 64


class Size(NamedTuple):
    """How much larger than the example the second probe is: rows more, and one length changed."""

    rows: int = 0
    axes: tuple[int, ...] = ()
    length: int = 0

    def __str__(self) -> str:
        parts = ["a row more"] if self.rows else []
        if self.axes:
            parts.append(f"axis {' and '.join(map(str, self.axes))} of length {self.length}")
        return ", ".join(parts) or "as given"


def arguments(model: torch.nn.Module, example: Any) -> Arguments:
    """Return what to call the model with.

    A tuple holds positional arguments, a mapping keyword arguments if the model's forward takes
    all of them; anything else is the only argument.
    """
    if isinstance(example, Arguments):
        return example
    if isinstance(example, tuple) and not hasattr(example, "_fields"):
        return Arguments(example, {})
    if isinstance(example, Mapping) and _are_keywords(model, example):
        return Arguments((), dict(example))
    return Arguments((example,), {})


def named(call: Arguments) -> dict[str, torch.Tensor]:
    """Return the call's tensors by name: ``input``, ``input 2``, ``ids``, ``batch.x``."""
    return named_tensors(_tree(call))


def describe(call: Arguments, rows: Mapping[str, int]) -> tuple[Input, ...]:
    """Describe the call's tensors.

    Args:
        call: The example.
        rows: For each name of token ids, how many there are.

    Raises:
        UsageError: A tensor is nested, sparse or quantized, or there is none.
    """
    tensors = named(call)
    if not tensors:
        what = "the example holds no tensor"
        raise UsageError(what, "Give what the model is called with: a tensor, a tuple or a dict.")
    return tuple(
        Input(name, tuple(tensor.shape), _word(tensor), _values(name, tensor, rows.get(name)))
        for name, tensor in tensors.items()
    )


def make(
    call: Arguments, inputs: Sequence[Input], *, scale: int, size: Size, high: bool
) -> Arguments:
    """Build the probe's call.

    Args:
        call: The example.
        inputs: How its tensors are described.
        scale: What floating numbers are multiplied with.
        size: How much larger than the example.
        high: Use float64 and complex128.
    """
    by_id = {id(tensor): name for name, tensor in named(call).items()}
    described = {each.name: each for each in inputs}
    first = next((each.shape for each in inputs if each.shape), (0,))

    def change(tensor: torch.Tensor) -> torch.Tensor:
        one = described[by_id[id(tensor)]]
        return _made(tensor, one, _resized(one.shape, first, size), scale, high=high)

    return Arguments(*map_tensors((call.args, call.kwargs), change))


def sizes(inputs: Sequence[Input]) -> list[Size]:
    """Return the second sizes to try, most telling first."""
    first = next((each.shape for each in inputs if each.shape), ())
    found = []
    for axes in ((1,), (2,), (2, 3)):
        if len(first) > axes[-1] and len({first[axis] for axis in axes}) == 1:
            old = first[axes[0]]
            found += [Size(1, axes, new) for new in (2 * old + 1, 2 * old, (old + 1) // 2)]
    return [*(size for size in found if size.length != first[size.axes[0]]), Size(1)]


def _are_keywords(model: torch.nn.Module, example: Mapping[Any, Any]) -> bool:
    try:
        inspect.signature(model.forward).bind(**example)
    except (TypeError, ValueError):
        return False
    return True


def _tree(call: Arguments) -> dict[str, Any]:
    names = ["input", *(f"input {i}" for i in range(2, len(call.args) + 1))]
    return {**dict(zip(names, call.args)), **call.kwargs}


def _values(name: str, tensor: torch.Tensor, rows: Optional[int]) -> str:
    for word in ("nested", "sparse", "quantized"):
        if getattr(tensor, f"is_{word}", False):
            what = f"the example's tensor {name!r} is {word}"
            raise UsageError(what, "Wrap the model in a module that makes it from plain tensors.")
    if tensor.dtype is torch.uint8:
        return f"ids below {_BYTES}"
    if rows is not None:
        return f"ids below {rows}"
    if tensor.is_complex():
        return "numbers"
    if tensor.is_floating_point() and not _is_mask(tensor):
        several = tensor.numel() > 0 and bool((tensor != tensor.flatten()[0]).any())
        return "positive" if several and bool((tensor >= 0).all()) else "numbers"
    digest = hashlib.sha256(str((tuple(tensor.shape), tensor.tolist())).encode()).hexdigest()
    return f"as given {digest[:16]}"


def _is_mask(tensor: torch.Tensor) -> bool:
    found = torch.unique(tensor.detach()[:_BYTES]).tolist()
    return found == [0, 1] and bool(((tensor == 0) | (tensor == 1)).all())


def _made(
    tensor: torch.Tensor, one: Input, shape: tuple[int, ...], scale: int, *, high: bool
) -> torch.Tensor:
    kind, _, rest = one.values.partition(" ")
    if kind == "as":
        return _to_precision(_tiled(tensor.detach().cpu(), shape), tensor, high=high)
    count = torch.Size(shape).numel()
    if kind == "ids":
        ids = integers(one.name, count) % int(rest.rpartition(" ")[2])
        return ids.reshape(shape).to(tensor.dtype)
    if tensor.is_complex():
        pairs = _steps(one.name, 2 * count).reshape(*shape, 2) * scale
        return _to_precision(torch.view_as_complex(pairs), tensor, high=high)
    values = _steps(one.name, count).reshape(shape) * scale
    return _to_precision(values.abs() if kind == "positive" else values, tensor, high=high)


def _steps(name: str, count: int) -> torch.Tensor:
    """Return k / 64 for hashed k from -64 to 64, zero left out."""
    steps = integers(name, count) % (2 * _STEPS) - _STEPS
    return torch.where(steps < 0, steps, steps + 1).to(torch.float64) / _STEPS


def _to_precision(values: torch.Tensor, like: torch.Tensor, *, high: bool) -> torch.Tensor:
    if not like.is_floating_point() and not like.is_complex():
        return values.clone()
    wide = torch.complex128 if like.is_complex() else torch.float64
    return values.to(wide if high else like.dtype).clone()


def _tiled(tensor: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    for axis, extent in enumerate(shape):
        old = tensor.shape[axis]
        if extent != old and old:
            tensor = tensor.index_select(axis, torch.arange(extent) % old)
    return tensor


def _resized(shape: tuple[int, ...], first: tuple[int, ...], size: Size) -> tuple[int, ...]:
    """Change the extents that are those of the first tensor, at whatever place they stand."""
    lengths = {first[axis] for axis in size.axes}
    return tuple(
        extent + size.rows
        if axis == 0 and extent == first[0]
        else size.length
        if axis > 0 and extent in lengths
        else extent
        for axis, extent in enumerate(shape)
    )


def _word(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
