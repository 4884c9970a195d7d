"""A trail of what one row became, operation by operation: where two predictions part.

It points at a line and never decides: a function mode switches torch's fast paths off, so that the
bits under it are not those of the prediction itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

import torch
from torch.overrides import TorchFunctionMode

from torchproof.proofs.process.places import user_line
from torchproof.proofs.tensors.bits import same


if TYPE_CHECKING:
    from collections.abc import Iterator


Pick = Callable[[torch.Tensor], Optional[torch.Tensor]]


class Mark(NamedTuple):
    """One operation and what it made of the row, or of what else is followed, if it made any."""

    name: str
    location: Optional[str]
    row: Optional[torch.Tensor]


@contextmanager
def trail(row: int, rows: int) -> Iterator[list[Mark]]:
    """Follow a row through the operations of the block."""

    def pick(result: torch.Tensor) -> Optional[torch.Tensor]:
        # A second axis of the same size could be the batch as well; such a result says nothing.
        batched = list(result.shape).count(rows) == 1 and len(result) == rows
        return result[row] if batched else None

    with follow(pick) as marks:
        yield marks


@contextmanager
def follow(pick: Pick) -> Iterator[list[Mark]]:
    """Follow what ``pick`` takes from the result of each operation of the block, None: nothing."""
    follower = _Follower(pick)
    with follower:
        yield follower.marks


def parting(first: list[Mark], second: list[Mark]) -> Optional[Mark]:
    """Return the first operation at which two trails part; None if they cannot be laid together."""
    for one, other in zip(first, second):
        if one.name != other.name:
            return None
        if _differ(one, other):
            return one
    return None


def goes_on(first: list[Mark], second: list[Mark]) -> bool:
    """Tell whether two trails part only in how often the loop that both are in still runs."""
    shorter, longer = sorted((first, second), key=len)
    steps, others = ([(mark.name, mark.location) for mark in each] for each in (longer, shorter))
    pairs = enumerate(zip(steps, others))
    begin = next((at for at, (one, other) in pairs if one != other), len(others))
    end = begin + len(longer) - len(shorter)
    if begin == end or steps[end:] != others[begin:]:
        return False
    if any(map(_differ, longer[:begin], shorter)):
        return False
    periods = (each for each in range(1, begin + 1) if (end - begin) % each == 0)
    return any(steps[begin:end] == steps[begin - each : end - each] for each in periods)


def _differ(one: Mark, other: Mark) -> bool:
    return one.row is not None and other.row is not None and not same(one.row, other.row)


class _Follower(TorchFunctionMode):
    def __init__(self, pick: Pick) -> None:
        super().__init__()
        self.marks: list[Mark] = []
        self._pick = pick

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            part = self._pick(result.detach())
            copied = None if part is None else part.clone()
            self.marks.append(Mark(getattr(function, "__name__", ""), user_line(), copied))
        return result
