"""Gradients that are changed in a copy, which is thrown away: an experiment.

``p.grad.clamp(...)`` gives a new tensor, ``p.grad.clamp_(...)`` changes the gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional
from weakref import ref

import torch
from torch.overrides import TorchFunctionMode

from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.dispatched import memory
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.trees import tensors


if TYPE_CHECKING:
    from collections.abc import Iterable

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation

_CHANGES = ("add", "clamp", "clamp_max", "clamp_min", "clip", "div", "mul", "nan_to_num", "sub")
_CALLS = 2


class _Copy(NamedTuple):
    """A changed copy of a gradient, for as long as it lives, and the line that made it."""

    copy: ref[torch.Tensor]
    location: Optional[str]


def dropped_changes(bench: Bench) -> list[str]:
    """Return the lines that change copies of gradients, all of which die unread.

    Followed in two calls of the step, if it has an operation that may be of that kind.
    """
    if not _may_change(bench.observation):
        return []
    made: list[set[Optional[str]]] = []
    read: set[Optional[str]] = set()
    with bench.trial() as trial:
        for _ in range(_CALLS):
            with _Copies(parameters(trial.trainee).values()) as copies:
                trial.step()
            made.append({each.location for each in copies.made})
            read |= copies.read | {each.location for each in copies.made if each.copy() is not None}
    return [line for line in made[0].intersection(*made) - read if line is not None]


def _may_change(seen: Observation) -> bool:
    """Tell whether something of a parameter's shape is changed, but not by an optimizer's step."""
    shapes = {tuple(each.shape) for each in parameters(seen.trial.trainee).values()}
    steps = {each.location for each in seen.steps}
    return any(
        each.name.strip("_") in _CHANGES
        and each.inside is None
        and each.operands[0].shape in shapes
        and not each.operands[0].requires_grad
        and each.location not in steps
        for each in seen.operations
    )


class _Copies(TorchFunctionMode):
    """Follows what is computed from gradients without changing them."""

    def __init__(self, held: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.made: list[_Copy] = []
        self.read: set[Optional[str]] = set()
        self._held = list(held)

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = tensors((*args, *kwargs.values()))
        self.read |= {
            each.location
            for each in self.made
            if (copy := each.copy()) is not None and any(copy is one for one in given)
        }
        result = function(*args, **kwargs)
        name = getattr(function, "__name__", "")
        if name.strip("_") in _CHANGES and given and self._is_copy(result, given[0]):
            self.made.append(_Copy(ref(result), user_line()))
        return result

    def _is_copy(self, result: Any, given: torch.Tensor) -> bool:
        """Tell whether a gradient was given, and another tensor of its shape came of it."""
        places = {memory(each.grad) for each in self._held if each.grad is not None} - {0}
        other = isinstance(result, torch.Tensor) and memory(result) != memory(given)
        return other and result.shape == given.shape and memory(given) in places
