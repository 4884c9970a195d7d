"""Tensors that a module holds without having registered them.

``self.layers = [nn.Linear(2, 2)]`` and ``self.w = torch.randn(2, requires_grad=True)`` work in a
forward pass, yet ``parameters()``, ``state_dict()`` and ``to()`` never see them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch


_REGISTERED = ("_parameters", "_buffers", "_modules")
_DEPTH = 4


def hidden_tensors(models: Mapping[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    """Return the leaves that require a gradient and hang on modules unregistered, by path."""
    registered = {id(each) for model in models.values() for each in model.parameters()}
    return {
        path: tensor
        for path, tensor in _held(models)
        if tensor.is_leaf and tensor.requires_grad and id(tensor) not in registered
    }


def computed_tensors(models: Mapping[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    """Return the tensors on modules that were computed from others with a gradient, by path."""
    return {path: tensor for path, tensor in _held(models) if tensor.grad_fn is not None}


def _held(models: Mapping[str, torch.nn.Module]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what modules hold unregistered, by path from the models."""
    for key, model in models.items():
        for name, module in model.named_modules(prefix=key):
            for path, tensor in _attributes(module):
                yield f"{name}.{path}".strip("."), tensor


def _attributes(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, value in vars(module).items():
        if name not in _REGISTERED:
            yield from _walk(name, value, _DEPTH)


def _walk(path: str, value: Any, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, torch.nn.Module):
        yield from ((f"{path}.{name}", each) for name, each in value.named_parameters())
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        for index, item in enumerate(value):
            yield from _walk(f"{path}[{index}]", item, depth - 1)
    elif depth and isinstance(value, Mapping):
        for key, item in list(value.items()):
            yield from _walk(f"{path}[{key!r}]", item, depth - 1)
    elif depth and not callable(value):
        for name, item in getattr(value, "__dict__", {}).items():
            if isinstance(item, (torch.Tensor, torch.nn.Module)):
                yield from _walk(f"{path}.{name}", item, depth - 1)
