"""Losses that nobody goes backward from, although an optimizer waits for their gradients."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from torch.overrides import TorchFunctionMode

from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.optimizers import optimizer_hooks
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.graph import roots
from torchproof.proofs.tensors.spread import nodes_behind


if TYPE_CHECKING:
    from torch.optim import Optimizer

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation

_UPDATES = 2
# Longer than a loss waits for its turn.
_CALLS = 40


class Forgotten(NamedTuple):
    """Parameters whose optimizer finds no gradient, and the line of the loss that has theirs."""

    names: list[str]
    location: Optional[str]


def forgotten(bench: Bench) -> Optional[Forgotten]:
    """Return what is stepped without gradients, if a number in the step depends on it.

    An optimizer that steps and never finds a gradient, in 40 calls, while others find some; and a
    single number with a graph that leads to its parameters and that no backward pass begins at or
    comes through.
    """
    names = _without_gradients(bench.observation)
    if not names:
        return None
    with bench.trial() as trial, _Numbers() as numbers:
        named = {id(each): name for name, each in parameters(trial.trainee).items()}
        trial.step()
    waiting = [
        (line, reached)
        for line, nodes in numbers.left()
        if (reached := {named.get(id(each.variable)) for each in nodes} & set(names))
    ]
    if not waiting or _ever(bench, names):
        return None
    return Forgotten(names, waiting[-1][0])


def _without_gradients(seen: Observation) -> list[str]:
    """Name what optimizers hold that step without ever finding a gradient, while others do."""
    fed: set[int] = set()
    hungry: set[int] = set()
    for optimizer in {id(each.optimizer): each.optimizer for each in seen.updates}.values():
        mine = [each for each in seen.updates if each.optimizer is optimizer]
        held = {id(each) for each in held_by([optimizer]) if each.requires_grad}
        found = any(move.gradient for each in mine for move in each.moves.values())
        waits = len(mine) >= _UPDATES and not found and not any(each.closure for each in mine)
        (hungry if waits else fed).update(held)
    if not fed:
        return []
    trainee = seen.trial.trainee
    return [
        name
        for name, each in parameters(trainee).items()
        if id(each) in hungry - fed and not any(fnmatchcase(name, one) for one in trainee.frozen)
    ]


def _ever(bench: Bench, names: list[str]) -> bool:
    """Tell whether one of these has a gradient at an update in the next calls."""
    found: list[bool] = []

    def before(optimizer: Optimizer) -> None:
        grads = [each.grad for each in held_by([optimizer]) if id(each) in ids]
        found.append(any(bool(each.any()) for each in grads if each is not None))

    with bench.trial() as trial, optimizer_hooks(before=before):
        ids = {id(each) for name, each in parameters(trial.trainee).items() if name in names}
        for _ in range(_CALLS):
            trial.step()
            if any(found):
                return True
    return False


class _Numbers(TorchFunctionMode):
    """Collects the single numbers that have a graph, and the nodes that backward comes through."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[tuple[Optional[str], torch.Tensor]] = []
        self._walked: set[Any] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Optional[dict[str, Any]] = None
    ) -> Any:
        kwargs = kwargs or {}
        for root in roots(func, args, kwargs):
            self._walked |= nodes_behind(root)
        result = func(*args, **kwargs)
        if isinstance(result, torch.Tensor) and result.numel() == 1 and result.grad_fn is not None:
            self._found.append((user_line(), result))
        return result

    def left(self) -> list[tuple[Optional[str], set[Any]]]:
        """Return the lines of those that no backward pass met, with the leaves behind them."""
        alone = [(line, each) for line, each in self._found if each.grad_fn not in self._walked]
        leaves = [
            (line, {node for node in nodes_behind(each) if hasattr(node, "variable")})
            for line, each in alone
        ]
        return [(line, nodes) for line, nodes in leaves if nodes]
