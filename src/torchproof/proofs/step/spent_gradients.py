"""Gradients that an update has used: what the step writes to them behind it, and what comes of it.

A gradient is spent between an update and the backward pass that next brings the parameter another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch

from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.dispatched import memory
from torchproof.proofs.tensors.trees import tensors


if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Neither reads values nor leaves any: how `zero_grad` and attributes work.
SILENT = ("__get__", "__set__", "__delete__", "detach_", "requires_grad_", "retain_grad")
_CLEARING = ("zero_", "_foreach_zero_")
_TENSOR: Any = torch.Tensor
_AUGMENTED = ("__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__idiv__")


class Rewrite(NamedTuple):
    """A write to a spent gradient; ``lost``: it is cleared away before anything reads it."""

    parameter: torch.Tensor
    call: int
    location: Optional[str]
    lost: bool


class _Spent(NamedTuple):
    """A gradient, kept so that nothing else gets its memory, and the last write to it."""

    parameter: torch.Tensor
    gradient: torch.Tensor
    write: Optional[tuple[int, Optional[str], bool]]


class SpentGradients:
    """Follows gradients from an update to the next backward pass."""

    def __init__(self) -> None:
        self._spent: dict[int, _Spent] = {}
        self._running = 0

    def before_update(self, held: Iterable[torch.Tensor], *, renewed: bool) -> None:
        """Note that an update reads the gradients of these parameters, unless they are renewed."""
        self._running += 1
        for each in held:
            if each.grad is not None and not renewed:
                self._spent.pop(memory(each.grad), None)

    def after_update(self, held: Iterable[torch.Tensor]) -> None:
        """Note that an update has read the gradients of these parameters."""
        self._running -= 1
        for each in held:
            if each.grad is not None and memory(each.grad):
                self._spent[memory(each.grad)] = _Spent(each, each.grad, None)

    def operation(self, function: Any, name: str, args: Sequence[Any], call: int) -> None:
        """Note what a torch function that has run reads and writes of them."""
        if not self._spent or self._running:
            return
        if name == "__set__" and function == _TENSOR.grad.__set__:
            self._replaced(args[0], args[1], call)
        if name in SILENT:
            return
        written = tensors(args[:1]) if _writes(name) else []
        for each in tensors(args):
            key = memory(each)
            if key in self._spent:
                write = any(each is one for one in written)
                self._spent[key] = self._after(self._spent[key], name, call, write=write)

    def backward(self, leaves: Iterable[torch.Tensor]) -> list[Rewrite]:
        """Judge the writes to the gradients of leaves that a backward pass is about to reach."""
        reached = {id(each) for each in leaves}
        due = [key for key, each in self._spent.items() if id(each.parameter) in reached]
        judged = [_judged(self._spent.pop(key)) for key in due]
        return [each for each in judged if each is not None]

    def _replaced(self, parameter: torch.Tensor, gradient: Any, call: int) -> None:
        known = [key for key, each in self._spent.items() if each.parameter is parameter]
        if known and isinstance(gradient, torch.Tensor) and memory(gradient):
            del self._spent[known[0]]
            write = (call, user_line(), bool(gradient.any()))
            self._spent[memory(gradient)] = _Spent(parameter, gradient, write)

    def _after(self, spent: _Spent, name: str, call: int, *, write: bool) -> _Spent:
        if not write:
            return spent._replace(write=None)
        if name in _CLEARING:
            return spent
        return spent._replace(write=(call, user_line(), bool(spent.gradient.any())))


def _writes(name: str) -> bool:
    return name in _AUGMENTED or (name.endswith("_") and not name.endswith("__"))


def _judged(spent: _Spent) -> Optional[Rewrite]:
    """Say what came of the write to a gradient, if there was one that left something."""
    if spent.write is None:
        return None
    call, location, left = spent.write
    there = spent.parameter.grad is not None and memory(spent.parameter.grad) == memory(
        spent.gradient
    )
    kept = there and (not left or bool(spent.gradient.any()))
    return Rewrite(spent.parameter, call, location, not kept) if left or kept else None
