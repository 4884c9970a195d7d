"""Noise that a model adds to its inputs, before anything that it has learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import torch
from torch.overrides import TorchFunctionMode

from torchproof.proofs.process.drawings import Drawing
from torchproof.proofs.process.places import user_line
from torchproof.proofs.tensors.bits import same


if TYPE_CHECKING:
    from collections.abc import Iterable

_DRAWING = (
    *("rand", "randn", "rand_like", "randn_like", "normal", "normal_", "uniform_"),
    *("bernoulli", "bernoulli_"),
)
_JOINING = (
    *("add", "radd", "sub", "rsub", "mul", "rmul", "div", "truediv", "where", "masked_fill"),
)
_ELEMENTWISE = (
    *(*_JOINING, "rtruediv", "lt", "le", "gt", "ge", "clamp", "log", "log1p", "sqrt", "pow"),
    *("float", "to", "type", "half", "bfloat16", "view", "reshape", "flatten", "unsqueeze"),
    *("squeeze", "permute", "transpose", "contiguous", "detach", "clone", "expand"),
)


class InputNoise(TorchFunctionMode):
    """Finds the lines of the block that draw noise which changes an input.

    An input is followed through operations on each element with numbers and constants, noise as
    well; what comes out of an operation with a parameter is neither.
    """

    def __init__(self, inputs: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.found: list[Drawing] = []
        self._batch = [each for each in inputs if each.is_floating_point() or each.dim() > 1]
        # Tensors are kept alive with their ids, so that no other tensor can get the same id.
        self._inputs: dict[int, torch.Tensor] = {}
        self._noise: dict[int, tuple[torch.Tensor, Drawing]] = {}
        self._learned: dict[int, torch.Tensor] = {}

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call the function and follow what it makes of inputs and noise."""
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        given = [each for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor)]
        noise = next((self._noise[id(each)][1] for each in given if id(each) in self._noise), None)
        inputs = [each for each in given if self._is_input(each)]
        learned = any(self._is_learned(each) for each in given)
        result = function(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            if name in _DRAWING:
                self._noise[id(result)] = result, Drawing(name, user_line(), moved=True)
            elif learned:
                self._learned[id(result)] = result
            elif given:
                self._follow(name.strip("_"), result, inputs, noise)
        return result

    def _follow(
        self, name: str, result: torch.Tensor, inputs: list[torch.Tensor], noise: Optional[Drawing]
    ) -> None:
        if inputs and noise is not None:
            self._learned[id(result)] = result
            if name in _JOINING and any(result.shape == each.shape for each in self._batch):
                self.found.append(noise)
        elif name in _ELEMENTWISE and noise is not None:
            self._noise[id(result)] = result, noise
        elif name in _ELEMENTWISE and inputs:
            self._inputs[id(result)] = result

    def _is_input(self, tensor: torch.Tensor) -> bool:
        if id(tensor) in self._inputs:
            return True
        return any(each.shape == tensor.shape and same(each, tensor) for each in self._batch)

    def _is_learned(self, tensor: torch.Tensor) -> bool:
        return isinstance(tensor, torch.nn.Parameter) or id(tensor) in self._learned
