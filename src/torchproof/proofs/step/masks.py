"""Dropout that is written out: values multiplied by random zeros and one other number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from torchproof.proofs.process.drawings import Drawing
from torchproof.proofs.process.places import user_line
from torchproof.proofs.tensors.bits import distinct


if TYPE_CHECKING:
    from collections.abc import Iterable

_DRAWING = ("rand", "rand_like", "uniform_", "bernoulli_", "bernoulli")
# With a number beside it, or nothing, what comes out is as random as what went in.
_ELEMENTWISE = (
    *("floor", "lt", "le", "gt", "ge", "add", "sub", "rsub", "div", "mul", "bool", "float", "half"),
    *("to", "type", "view", "reshape", "expand", "unsqueeze", "squeeze", "bfloat16", "logical_not"),
)
_ZERO_AND_ANOTHER = 2


class Masks(TorchFunctionMode):
    """Finds the lines of the block that draw a mask and where others are multiplied by it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Drawing] = []
        # Tensors are kept alive with their ids, so that no other tensor can get the same id.
        self._random: dict[int, tuple[torch.Tensor, Drawing]] = {}

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call the function and follow what is drawn."""
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "").strip("_")
        given = [each for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor)]
        masks = [self._random[id(each)] for each in given if id(each) in self._random]
        if name == "mul" and len(given) == len(("value", "mask")) and len(masks) == 1:
            self._multiplied(masks)
        result = function(*args, **kwargs)
        if not isinstance(result, torch.Tensor):
            return result
        if getattr(function, "__name__", "") in _DRAWING:
            drawn = Drawing(function.__name__, user_line(), moved=True)
            self._random[id(result)] = (result, drawn)
        elif name in _ELEMENTWISE and len(given) == len(masks) == 1:
            self._random[id(result)] = (result, masks[0][1])
        return result

    def _multiplied(self, masks: Iterable[tuple[torch.Tensor, Drawing]]) -> None:
        for mask, drawn in masks:
            values = distinct(mask.detach().float())
            if len(values) == _ZERO_AND_ANOTHER and 0.0 in values.tolist():
                self.found.append(drawn)
