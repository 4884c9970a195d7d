"""What each ``optimizer.step`` did to each parameter it has a gradient for."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.optimizers import has_begun


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.optim import Optimizer

    from torchproof.proofs.step.trial import Trial


class Move(NamedTuple):
    """How one update moved one parameter.

    ``elements`` is the number of those that have a gradient, ``still`` that of those among them
    that kept their bits, ``gradient`` the largest one; ``along`` is the inner product of gradient
    and movement; ``same`` and ``opposite`` count elements that moved with and against the sign of
    their gradient.
    """

    rate: float
    gradient: float
    elements: int
    still: int
    along: float
    same: int
    opposite: int


class Marks(NamedTuple):
    """The elements of one parameter that had a gradient, and those that changed their bits."""

    pushed: torch.Tensor
    changed: torch.Tensor


@dataclass
class Update:
    """One call of ``optimizer.step``.

    ``first``: the optimizer had no state before it, or none that an update has left; ``closure``:
    it computed its gradients itself, so that ``moves``, by the parameter's id, stays empty.
    """

    optimizer: Optimizer
    call: int
    location: Optional[str]
    first: bool
    closure: bool
    moves: dict[int, Move] = field(default_factory=dict)


@dataclass
class Log:
    """The updates of a block, and by the parameter's id what all of them together marked."""

    updates: list[Update] = field(default_factory=list)
    marks: dict[int, Marks] = field(default_factory=dict)


@contextmanager
def watch_updates(trial: Trial) -> Iterator[Log]:
    """Write down the updates of the block, those of an optimizer inside another as well."""
    log = Log()
    running: list[tuple[Update, list[tuple[Any, float, torch.Tensor, torch.Tensor]]]] = []

    def before(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        closure = (len(args) > 1 and args[1] is not None) or kwargs.get("closure") is not None
        with unwatched():
            first = not any(map(has_begun, optimizer.state.values()))
        update = Update(optimizer, len(trial.losses), user_line(), first, closure)
        log.updates.append(update)
        with unwatched():
            running.append((update, [] if closure else _kept(optimizer)))

    def after(*_: Any) -> None:
        update, kept = running.pop()
        with unwatched(), torch.no_grad():
            for parameter, rate, gradient, old in kept:
                slope = gradient.double()
                change = _real(parameter.detach()).double() - old.double()
                update.moves[id(parameter)] = _move(rate, slope, change)
                _mark(log.marks, id(parameter), slope != 0, change != 0)

    early = register_optimizer_step_pre_hook(before)
    late = register_optimizer_step_post_hook(after)
    try:
        yield log
    finally:
        early.remove()
        late.remove()


def _kept(optimizer: Optimizer) -> list[tuple[Any, float, torch.Tensor, torch.Tensor]]:
    return [
        (
            each,
            float(group.get("lr", float("nan"))),
            _real(each.grad.detach()).clone(),
            _real(each.detach()).clone(),
        )
        for group in optimizer.param_groups
        for each in group["params"]
        if each.grad is not None
    ]


def _mark(marks: dict[int, Marks], key: int, pushed: torch.Tensor, changed: torch.Tensor) -> None:
    before = marks.setdefault(key, Marks(pushed, changed))
    before.pushed.logical_or_(pushed)
    before.changed.logical_or_(changed)


def _move(rate: float, slope: torch.Tensor, change: torch.Tensor) -> Move:
    product = slope * change
    return Move(
        rate,
        float(slope.abs().max()) if slope.numel() else 0.0,
        int(slope.count_nonzero()),
        int(((slope != 0) & (change == 0)).sum()),
        float(product.sum()),
        int((product > 0).sum()),
        int((product < 0).sum()),
    )


def unwatched() -> Any:
    """Keep what is computed here out of every function mode."""
    return torch._C.DisableTorchFunction()  # noqa: SLF001 - torch has no public name for it


def _real(tensor: torch.Tensor) -> torch.Tensor:
    dense = tensor.to_dense() if tensor.layout != torch.strided else tensor
    return torch.view_as_real(dense) if dense.is_complex() else dense
