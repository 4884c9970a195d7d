"""Results that a step computes and nobody reads."""

from __future__ import annotations

import gc
import weakref
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.trees import named_tensors


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.trainee import Trainee

_ABOUT = ("size", "dim", "numel", "stride", "ndimension", "is_floating_point", "is_complex")
_OF_NO_VALUE = frozenset((*_ABOUT, "__len__", "is_contiguous", "requires_grad_"))


def results_dropped(bench: Bench, names: list[str], used: list[str]) -> list[str]:
    """Return those of some parameters with which the step computes and drops all that comes of it.

    Everything computed from all of them is followed through the first call of the step, be it only
    by its shape (a batch may be too small for a branch). It is dropped if no model returns any of
    it, no autograd function of the user's takes it, nothing becomes a number of python's, and
    nothing is kept. A module that returns it beside other tensors offers it (a pooled output), and
    may be used without it; so may all but the last of a container's modules.

    Args:
        bench: Where the trainee comes from.
        names: Parameters that get no gradient and that the loss does not depend on.
        used: Parameters that get a gradient.
    """
    tried = [name for name in names if not _ends_a_list(name, used)]
    if not tried:
        return []
    with bench.trial() as trial:
        seeds = {name: each for name, each in parameters(trial.trainee).items() if name in tried}
        with _followed(trial.trainee, list(seeds.values())) as follower:
            trial.step()
        gc.collect()
        read = follower.read or follower.kept()
        return [] if read else [name for name, each in seeds.items() if id(each) in follower.begun]


def _ends_a_list(name: str, used: list[str]) -> bool:
    """Tell whether a parameter's module is the last in a container and others in it are used."""
    parts, others = name.split("."), [each.split(".") for each in used]
    for place in (at for at, part in enumerate(parts) if part.isdigit()):
        beside = [each[place] for each in others if each[:place] == parts[:place] != each]
        indices = [int(each) for each in beside if each.isdigit()]
        if indices and int(parts[place]) > max(indices):
            return True
    return False


@contextmanager
def _followed(trainee: Trainee, seeds: list[torch.nn.Parameter]) -> Iterator[_Follower]:
    follower = _Follower(seeds)
    with ExitStack() as stack:
        for model in trainee.models.values():
            for module in model.modules():
                if isinstance(module, torch.jit.ScriptModule):
                    continue  # it takes no hooks
                hook = follower.returned if module is model else follower.offered
                stack.callback(module.register_forward_hook(hook).remove)
        stack.enter_context(_functions_of_the_users(follower))
        stack.enter_context(follower)
        yield follower


@contextmanager
def _functions_of_the_users(follower: _Follower) -> Iterator[None]:
    """Note what autograd functions are given; torch calls them without any function mode."""
    untyped: Any = torch.autograd.Function
    original = vars(untyped)["apply"]

    def apply(kind: Any, *args: Any, **kwargs: Any) -> Any:
        follower.taken((args, kwargs))
        return original.__func__(kind, *args, **kwargs)

    untyped.apply = classmethod(apply)
    try:
        yield
    finally:
        untyped.apply = original


class _Follower(TorchFunctionMode):
    """Follows what is computed from some parameters, without keeping it alive.

    ``begun`` holds the ids of those with which something was computed.
    """

    def __init__(self, seeds: list[torch.nn.Parameter]) -> None:
        super().__init__()
        self._seeds = {id(each): each for each in seeds}
        self._derived: dict[int, weakref.ref[torch.Tensor]] = {}
        self.begun: set[int] = set()
        self.read = False

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        given = list(named_tensors((args, kwargs)).values())
        result = function(*args, **kwargs)
        if name in _OF_NO_VALUE or not any(self._follows(each) for each in given):
            return result
        fresh = list(named_tensors(result).values())
        if name == "__setitem__":
            fresh = given[:1]
        if name == "__get__":
            fresh = [each for each in fresh if not self._is_gradient(each, given)]
        elif not fresh:
            self.read = True
        self.begun |= {id(each) for each in given if fresh} & self._seeds.keys()
        for each in fresh:
            self._add(each)
        return result

    def returned(self, _: Any, __: Any, output: Any) -> None:
        """Note what a model of the trainee returns."""
        self.taken(output)

    def taken(self, given: Any) -> None:
        """Note what goes where it cannot be followed."""
        self.read |= any(self._follows(each) for each in named_tensors(given).values())

    def offered(self, _: Any, __: Any, output: Any) -> None:
        """Note what a part of a model returns beside other tensors."""
        follows = [self._follows(each) for each in named_tensors(output).values()]
        self.read |= any(follows) and not all(follows)

    def kept(self) -> bool:
        """Tell whether something that was computed is still alive."""
        return any(each() is not None for each in self._derived.values())

    def _follows(self, tensor: torch.Tensor) -> bool:
        known = self._derived.get(id(tensor))
        return id(tensor) in self._seeds or (known is not None and known() is tensor)

    def _is_gradient(self, tensor: torch.Tensor, given: list[torch.Tensor]) -> bool:
        return any(each.is_leaf and each.grad is tensor for each in given)

    def _add(self, tensor: torch.Tensor) -> None:
        if id(tensor) not in self._seeds:
            self._derived[id(tensor)] = weakref.ref(tensor)
