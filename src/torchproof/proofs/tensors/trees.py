"""Batches and outputs of any nesting: dicts, lists, tuples, named tuples, dataclasses."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Callable, Optional

import torch


Change = Callable[[torch.Tensor], torch.Tensor]


def map_tensors(tree: Any, change: Change) -> Any:
    """Rebuild a tree with every tensor changed; one tensor at two places stays one tensor."""
    changed: dict[int, torch.Tensor] = {}

    def visit(node: Any) -> Any:
        if isinstance(node, torch.Tensor):
            if id(node) not in changed:
                changed[id(node)] = change(node)
            return changed[id(node)]
        return _rebuild(node, visit)

    return visit(tree)


def clone(tree: Any) -> Any:
    """Copy every tensor, cut from its graph, so that whoever gets the copy cannot hurt the tree."""
    return map_tensors(tree, _clone)


def named_tensors(tree: Any) -> dict[str, torch.Tensor]:
    """Return a tree's tensors by path: ``x``, ``views.0``, ``mask``."""
    return dict(_walk(tree, ""))


def tensors(values: Iterable[Any]) -> list[torch.Tensor]:
    """Return the tensors among the values, and in lists and tuples of them."""
    return list(_nested(values))


def main_output(output: Any) -> Optional[torch.Tensor]:
    """Return the tensor that a model's output is about.

    It is the output itself, its ``logits``, or the first tensor that has a batch dimension and is
    not called a loss.
    """
    named = {name: tensor for name, tensor in _walk(output, "") if tensor.dim() > 0}
    if "logits" in named:
        return named["logits"]
    return next((tensor for name, tensor in named.items() if "loss" not in name), None)


def _clone(tensor: torch.Tensor) -> torch.Tensor:
    copied = tensor.detach().clone()
    return copied.requires_grad_() if tensor.requires_grad else copied


def _nested(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _nested(value)


def _walk(node: Any, path: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(node, torch.Tensor):
        yield path, node
        return
    for name, child in _children(node):
        yield from _walk(child, f"{path}.{name}" if path else str(name))


def _children(node: Any) -> list[tuple[Any, Any]]:
    if isinstance(node, Mapping):
        return list(node.items())
    if isinstance(node, (list, tuple)):
        return list(enumerate(node))
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return [(field.name, getattr(node, field.name, None)) for field in dataclasses.fields(node)]
    return []


def _rebuild(node: Any, visit: Callable[[Any], Any]) -> Any:
    children = [(name, visit(child)) for name, child in _children(node)]
    if isinstance(node, MutableMapping):
        # A copy keeps the type and its extra attributes (BatchEncoding, OrderedDict, defaultdict).
        fresh: Any = copy.copy(node)
        fresh.update(children)
        return fresh
    if isinstance(node, Mapping):
        return dict(children)
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return type(node)(*(child for _, child in children))
    if isinstance(node, (list, tuple)):
        return type(node)(child for _, child in children)
    if children:
        fresh = copy.copy(node)
        for name, child in children:
            object.__setattr__(fresh, name, child)
        return fresh
    return node
