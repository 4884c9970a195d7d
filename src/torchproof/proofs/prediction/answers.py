"""What modules answered while something was predicted: scores show what a class hides."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from torchproof.proofs.tensors.bits import different, distance, distinct, same
from torchproof.proofs.tensors.trees import clone, main_output, named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch


# What a score is compared with, before or after a sigmoid.
_BOUNDS = (0.0, 0.5)
_PLAIN = len(("rows", "classes"))


class Answer(NamedTuple):
    """One call of a module that no other module made: what it was given, and its main output."""

    module: torch.nn.Module
    given: dict[str, torch.Tensor]
    output: Optional[torch.Tensor]


@contextmanager
def answers() -> Iterator[list[Answer]]:
    """List the calls of modules in the block, of any module, without those inside of others."""
    listener = _Listener()
    handles = [
        register_module_forward_pre_hook(listener.enter),
        register_module_forward_hook(listener.leave, always_call=True),
    ]
    try:
        yield listener.found
    finally:
        for handle in handles:
            handle.remove()


def scores(found: list[Answer]) -> list[torch.Tensor]:
    """Return the outputs that are numbers with a fraction."""
    outputs = [each.output for each in found if each.output is not None]
    return [each for each in outputs if each.is_floating_point()]


def behind(prediction: torch.Tensor, found: list[Answer]) -> torch.Tensor:
    """Return the scores whose largest, or whose positive ones, a prediction names; else itself.

    One class everywhere does not tell which axes of scores with more than two are its own.
    """
    if prediction.is_floating_point():
        return prediction
    constant = len(distinct(prediction)) == 1
    for each in reversed(scores(found)):
        classes = [each.argmax(axis) for axis in range(1, each.dim())]
        signs = [
            (each > bound).reshape_as(prediction) for bound in _BOUNDS if _fits(each, prediction)
        ]
        named = any(same(prediction, told.to(prediction.dtype)) for told in [*classes, *signs])
        if named and not (constant and each.dim() > _PLAIN):
            return each
    return prediction


def _fits(scored: torch.Tensor, prediction: torch.Tensor) -> bool:
    return scored.numel() == prediction.numel() and len(scored) == len(prediction)


def contradiction(first: list[Answer], second: list[Answer]) -> float:
    """Return how far two lists of answers lie apart, where a module was given the same."""
    if len(first) != len(second):
        return 0.0
    return max((_gap(*pair) for pair in zip(first, second)), default=0.0)


def _gap(first: Answer, second: Answer) -> float:
    one, other = first.output, second.output
    if one is None or other is None or first.given.keys() != second.given.keys():
        return 0.0
    if different(first.given, second.given) or one.shape != other.shape or same(one, other):
        return 0.0
    return distance(one, other)


class _Listener:
    """Writes the outermost calls of modules down."""

    def __init__(self) -> None:
        self.found: list[Answer] = []
        self._given: list[dict[str, torch.Tensor]] = []

    def enter(self, _: torch.nn.Module, given: Any) -> None:
        self._given.append({} if self._given else named_tensors(clone(given)))

    def leave(self, module: torch.nn.Module, _: Any, output: Any) -> None:
        given = self._given.pop() if self._given else {}
        if not self._given:
            main = main_output(output)
            told = None if main is None else main.detach().clone()
            self.found.append(Answer(module, given, told))
