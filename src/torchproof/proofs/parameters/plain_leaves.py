"""Plain tensors that get gradients which nobody ever uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from torch.overrides import TorchFunctionMode

from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.trial import state_tensors
from torchproof.proofs.tensors.bits import same
from torchproof.proofs.tensors.graph import leaves, roots
from torchproof.proofs.tensors.hidden import hidden_tensors
from torchproof.proofs.tensors.spread import GRADIENT
from torchproof.proofs.tensors.trees import tensors


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation
    from torchproof.proofs.step.trial import Trial

_CALLS = 2


class PlainLeaf(NamedTuple):
    """A tensor that learns nothing: what to call it, and the line that first uses it."""

    name: str
    location: Optional[str]


def plain_leaves(bench: Bench, seen: Observation) -> list[PlainLeaf]:
    """Return the plain tensors that stay, get a gradient in each of two calls and never change.

    Left out are parameters, what modules hide, what an optimizer holds, and tensors whose gradient
    the step reads: the perturbation of an adversary, an input that is asked for its influence.
    """
    known = {id(each) for each in seen.hidden.values()}
    if not any(key not in known and _plain(each) for key, each in seen.fed.items()):
        return []
    with bench.trial() as trial:
        hidden = hidden_tensors(trial.trainee.models)
        watch = _Watch()
        with watch:
            for _ in range(_CALLS):
                watch.reached.append({})
                trial.step()
        known = {id(each) for each in (*hidden.values(), *held_by(trial.optimizers))}
        return _in_vain(trial, watch, known)


def _plain(tensor: torch.Tensor) -> bool:
    return tensor.requires_grad and not isinstance(tensor, torch.nn.Parameter)


def _in_vain(trial: Trial, watch: _Watch, known: set[int]) -> list[PlainLeaf]:
    names = {id(each): name for name, each in state_tensors(trial.trainee).items()}
    return [
        PlainLeaf(names.get(key, f"a tensor of shape {tuple(leaf.shape)}"), watch.used.get(key))
        for key, leaf in watch.reached[0].items()
        if all(key in each for each in watch.reached)
        and key not in known | watch.read
        and leaf.grad is not None
        and bool(leaf.grad.any())
        and same(watch.first[key], leaf)
    ]


class _Watch(TorchFunctionMode):
    """Notes which plain leaves a backward pass reaches, what they were, and whose gradient is read.

    ``reached`` holds, for each call, the leaves by id; ``used`` the lines that first read them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reached: list[dict[int, torch.Tensor]] = []
        self.first: dict[int, torch.Tensor] = {}
        self.used: dict[int, Optional[str]] = {}
        self.read: set[int] = set()

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if roots(function, args, kwargs):
            self._reach(leaves(function, args, kwargs) or [])
        elif function is torch.autograd.grad:
            self.read |= {id(each) for each in leaves(function, args, kwargs) or []}
        elif function == GRADIENT:
            self.read.add(id(args[0]))
        else:
            for each in tensors((*args, *kwargs.values())):
                if each.is_leaf and _plain(each):
                    self.used.setdefault(id(each), user_line())
        return function(*args, **kwargs)

    def _reach(self, found: list[torch.Tensor]) -> None:
        for each in found:
            if _plain(each):
                self.reached[-1][id(each)] = each
                self.first.setdefault(id(each), each.detach().clone())
