"""Copies of models that compute with their own layers.

``copy.deepcopy`` returns a function as it is. Of a module that holds
``self.mlp = lambda x: layer(x)``, as minGPT's blocks do, a copy would go on calling the original's
``layer``: its weights, its mode and its precision. Functions that are attributes of a module, or
values of a dict that is one (hooks), are therefore bound anew to what was copied.
"""

from __future__ import annotations

import copy
from types import CellType, FunctionType
from typing import Any, Optional

import torch


_COPIED = (torch.nn.Module, torch.Tensor, list, tuple, dict)


def copied(model: torch.nn.Module, memo: Optional[dict[int, Any]] = None) -> torch.nn.Module:
    """Return a deep copy that shares no layer with the model.

    Args:
        model: The model; it stays as it is.
        memo: Copies that are known, by the id of the original, as for ``copy.deepcopy``.
    """
    memo = {} if memo is None else memo
    new = copy.deepcopy(model, memo)
    for part in new.modules():
        attributes = vars(part)
        for held in (attributes, *(each for each in attributes.values() if isinstance(each, dict))):
            functions = {key: each for key, each in held.items() if isinstance(each, FunctionType)}
            held.update({key: _bound(each, memo) for key, each in functions.items()})
    return new


def _bound(function: FunctionType, memo: dict[int, Any]) -> FunctionType:
    """Return the function with the copies of what it closes over; itself if that is nothing."""
    if not function.__closure__:
        return function
    if id(function) not in memo:
        cells = tuple(CellType() for _ in function.__closure__)
        new = FunctionType(
            function.__code__,
            function.__globals__,
            function.__name__,
            function.__defaults__,
            cells,
        )
        new.__kwdefaults__, new.__dict__ = function.__kwdefaults__, function.__dict__
        memo[id(function)] = new  # before its cells, which may hold the function itself
        for cell, old in zip(cells, function.__closure__):
            _fill(cell, old, memo)
    bound: FunctionType = memo[id(function)]
    return bound


def _fill(cell: CellType, old: CellType, memo: dict[int, Any]) -> None:
    try:
        value = old.cell_contents
    except ValueError:  # a name that is not bound yet
        return
    if isinstance(value, FunctionType):
        value = _bound(value, memo)
    cell.cell_contents = copy.deepcopy(value, memo) if isinstance(value, _COPIED) else value
