"""Plain attributes of modules and optimizers: state that no ``state_dict`` holds."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any

import torch

from torchproof.proofs.tensors.bits import same


_PLAIN = (bool, int, float, complex, str, torch.Tensor, type(None))


def plain_attributes(owner: Any) -> dict[str, Any]:
    """Return an object's own attributes that are plain values or collections of such."""
    bare = torch.nn.Module() if isinstance(owner, torch.nn.Module) else _bare_optimizer()
    inherited = {*vars(bare), "_opt_called"}
    registered = {id(each) for each in _registered(owner)}
    return {
        name: value
        for name, value in vars(owner).items()
        if name not in inherited and id(value) not in registered and _plain(value)
    }


def unsaved_buffers(owner: Any) -> dict[str, Any]:
    """Return a module's buffers that its ``state_dict`` leaves out."""
    if not isinstance(owner, torch.nn.Module):
        return {}
    left_out = owner._non_persistent_buffers_set  # noqa: SLF001 - torch has no public name for it
    return {name: each for name, each in owner._buffers.items() if name in left_out}  # noqa: SLF001


def kept(values: dict[str, Any]) -> dict[str, Any]:
    """Copy plain values so that later changes in place do not reach them."""
    return {name: _copy(value) for name, value in values.items()}


def unlike(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Name the values that differ, or that only one of the two has."""
    return [
        name
        for name in {**first, **second}
        if name not in first or name not in second or not _equal(first[name], second[name])
    ]


@lru_cache(maxsize=1)
def _bare_optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1)], 0.1)


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_plain(item) for item in value)
    if isinstance(value, dict):
        return all(_plain(item) for item in value.values())
    return isinstance(value, _PLAIN)


def _registered(owner: Any) -> list[Any]:
    if not isinstance(owner, torch.nn.Module):
        return []
    return [*owner.parameters(), *owner.buffers()]


def _copy(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, (list, tuple)):
        return type(value)(_copy(item) for item in value)
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return copy.copy(value)


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return same(first, second)
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(map(_equal, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(
            _equal(first[key], second[key]) for key in first
        )
    return type(first) is type(second) and bool(first == second)
