"""Optimizers of any kind, seen from outside: when they are built and when they step.

The hooks of `optimizer_hooks` are torch's own and global: they see every optimizer, also one inside
another or behind a GradScaler. A rule whose experiment is an intervention (changing the gradients
behind a step, say) uses them too.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Callable, Optional
from weakref import WeakKeyDictionary

import torch
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from torchproof.proofs.process.places import user_line


if TYPE_CHECKING:
    from collections.abc import Iterator

OnStep = Callable[[Optimizer], None]


def remembered(optimizer: Optimizer) -> list[str]:
    """Name the tensors that an optimizer keeps for its parameters, but for the number of steps."""
    states = optimizer.state.values()
    return list(dict.fromkeys(name for state in states for name in remembered_in(state)))


def remembered_in(state: Any) -> list[str]:
    """Name the tensors in the state of one parameter, but for the number of steps."""
    items = state.items() if isinstance(state, dict) and has_begun(state) else ()
    return [name for name, each in items if isinstance(each, torch.Tensor) and name != "step"]


def has_begun(state: Any) -> bool:
    """Tell whether an update has left a state; Adagrad makes it before the first."""
    step = state.get("step", 1) if isinstance(state, dict) else 1
    return bool(step.any() if isinstance(step, torch.Tensor) else step)


@contextmanager
def optimizer_hooks(
    *, before: Optional[OnStep] = None, after: Optional[OnStep] = None
) -> Iterator[None]:
    """Call a function before or after every ``step`` of every optimizer in the block."""
    with ExitStack() as stack:
        if before is not None:
            early = before
            hook = register_optimizer_step_pre_hook(lambda optimizer, *_: early(optimizer))
            stack.callback(hook.remove)
        if after is not None:
            late = after
            hook = register_optimizer_step_post_hook(lambda optimizer, *_: late(optimizer))
            stack.callback(hook.remove)
        yield


@contextmanager
def optimizers_built() -> Iterator[WeakKeyDictionary[Optimizer, Optional[str]]]:
    """Collect the optimizers that come to be in the block, with the lines that make them.

    torch has no hook for it; every constructor adds its parameter groups by one method, which is
    wrapped for the block.
    """
    built: WeakKeyDictionary[Optimizer, Optional[str]] = WeakKeyDictionary()
    original = Optimizer.add_param_group

    def add_param_group(self: Optimizer, *args: Any, **kwargs: Any) -> None:
        built.setdefault(self, user_line())
        original(self, *args, **kwargs)

    Optimizer.add_param_group = add_param_group  # type: ignore[method-assign]
    try:
        yield built
    finally:
        Optimizer.add_param_group = original  # type: ignore[method-assign]
