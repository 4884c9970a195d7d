"""Terms of a loss that add a number and no gradient: computed from parameters, then cut off.

The calls of the step are followed. What is computed without a gradient from a tensor that has
one remembers that tensor, its source, and so do numbers of python's that are made of it by
``item``. Where such a value is added to what has a gradient, the graph of the backward pass tells
whether it is a term of the loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from torch.overrides import TorchFunctionMode

from torchproof.proofs.parameters.unreached import disturb
from torchproof.proofs.process.places import user_line
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.graph import roots
from torchproof.proofs.tensors.origins import Number, Origin
from torchproof.proofs.tensors.spread import GRADIENT, Spread, leaves_behind, spread


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation
    from torchproof.proofs.step.trial import Trial

_ADDITIONS = ("add", "radd", "iadd", "sub", "rsub", "isub", "stack")
# Of these the result has the values of the first argument, whatever the others are.
_OF_THE_FIRST = ("to", "type_as", "view_as", "expand_as", "reshape_as", "new_tensor")
_OF_NONE = ("broadcast_tensors", "meshgrid", "new_zeros", "new_ones", "new_full", "new_empty")


class LostTerm(NamedTuple):
    """A term of the loss: its value, the parameters that it is computed from, the line."""

    value: float
    names: list[str]
    location: Optional[str]


class _Added(NamedTuple):
    node: Any
    value: float
    origin: Origin
    location: Optional[str]


def lost_terms(bench: Bench) -> list[LostTerm]:
    """Return the terms of the loss whose gradient is lost on the way.

    Each is one number, or one for each row, that is not 0, that changes with parameters of the
    trainee and is only added, in every call on the same line from the same parameters. It is left
    out if what it comes from is itself a term of something that backward starts at
    (``loss + (shown - loss).detach()``, another model's loss), if the value or one before it goes
    into the loss in another way, too (a target, a stabilised logarithm), or if it is a penalty on
    weights whose decay the optimizer does.
    """
    if bench.reason_against("reproducible") or not _adds_numbers(bench.observation):
        return []
    with bench.trial() as trial:
        found = _lost(trial)
        for _ in bench.reference.losses[1:]:
            again = {(each.location, *each.names) for each in _lost(trial)} if found else set()
            found = [each for each in found if (each.location, *each.names) in again]
    return [each for each in found if each.names and _changes(bench, each)]


def _lost(trial: Trial) -> list[LostTerm]:
    """Return the terms whose gradient is lost in the next call of the step."""
    return [
        LostTerm(each.value, _names(trial, each), each.location)
        for each in _followed(trial).lost(_learning(trial))
        if not _decayed(trial, each.origin)
    ]


def _adds_numbers(seen: Observation) -> bool:
    """Tell whether something without a gradient was added to numbers, or rows, with one."""
    for each in seen.operations:
        learns = [one.requires_grad for one in each.operands if len(one.shape) <= 1]
        if each.name in _ADDITIONS and any(learns) and (len(learns) == 1 or not all(learns)):
            return True
    return False


def _learning(trial: Trial) -> set[int]:
    return {id(each) for each in parameters(trial.trainee).values() if each.requires_grad}


def _followed(trial: Trial) -> _Follower:
    follower = _Follower()
    try:
        with follower:
            trial.step()
    except Exception:  # noqa: BLE001 - the user's code need not work with numbers that are followed
        return _Follower()
    return follower


def _names(trial: Trial, added: _Added) -> list[str]:
    leaves = _leaves(added.origin)
    named = parameters(trial.trainee).items()
    return [name for name, each in named if each.requires_grad and id(each) in leaves]


def _leaves(origin: Origin) -> set[int]:
    """Return the ids of the leaves that a value was computed from before its gradient was lost."""
    sources = [one for each in origin.line() for one in each.sources]
    return {id(leaf) for one in sources for leaf in leaves_behind(one)}


def _decayed(trial: Trial, origin: Origin) -> bool:
    """Tell whether a value is made of weights alone, and the optimizer lets them decay."""
    line = origin.line()
    decaying = {
        id(each)
        for optimizer in trial.optimizers
        for group in optimizer.param_groups
        if group.get("weight_decay")
        for each in group["params"]
    }
    alone = not any(each.others for each in line)
    return alone and all(id(one) in decaying for each in line for one in each.sources)


def _changes(bench: Bench, term: LostTerm) -> bool:
    """Tell whether a term has another value with other parameters."""
    with bench.trial() as trial:
        for name, parameter in parameters(trial.trainee).items():
            if name in term.names:
                disturb(parameter)
        again = [each for each in _followed(trial).added if each.location == term.location]
    return bool(again) and all(each.value != term.value for each in again)


class _Follower(TorchFunctionMode):
    """Follows values that have lost their gradient, and notes where they are added to others."""

    def __init__(self) -> None:
        super().__init__()
        # Tensors are kept alive with their ids, so that no other tensor can get the same id.
        self._known: dict[int, tuple[torch.Tensor, Origin]] = {}
        self._spreads: list[Spread] = []
        self.added: list[_Added] = []

    def lost(self, learning: set[int]) -> list[_Added]:
        """Return the terms of the loss that come from learning parameters and teach nothing."""
        return [each for each in self.added if self._is_lost(each, learning)]

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        self._spreads += [spread(each) for each in roots(function, args, kwargs)]
        name = getattr(function, "__name__", "").strip("_")
        result = function(*args, **kwargs)
        if name in _OF_NONE or name.endswith("_like") or function == GRADIENT:
            return result
        given = list(_values(args[:1] if name in _OF_THE_FIRST else (args, kwargs)))
        if name == "item" and type(result) is float:
            origin = self._origin(given)
            return result if origin is None else Number.of(result, origin)
        for each in _values(result):
            if isinstance(each, torch.Tensor):
                self._note(name, given, each)
        return result

    def _note(self, name: str, given: list[Any], made: torch.Tensor) -> None:
        if not made.requires_grad:
            origin = self._origin(given)
            if origin is not None:
                self._known[id(made)] = (made, origin)
            return
        for each in given:
            origin = self._of(each)
            if origin is None:
                continue
            for one in origin.line():
                one.nodes.append(made.grad_fn)
            if name in _ADDITIONS and _is_term(each, made, stacked=name == "stack"):
                value = float(each) if isinstance(each, float) else float(each.detach().sum())
                self.added.append(_Added(made.grad_fn, value, origin, user_line()))

    def _origin(self, given: list[Any]) -> Optional[Origin]:
        """Return the origin of what is made of some values; None if no gradient was lost."""
        before = [each for each in map(self._of, given) if each is not None]
        sources = [each for each in given if isinstance(each, torch.Tensor) and each.requires_grad]
        others = len(before) + len(sources) < len(given)
        return Origin(sources, before, others) if before or sources else None

    def _of(self, value: Any) -> Optional[Origin]:
        if isinstance(value, Number):
            return value.origin
        if isinstance(value, torch.Tensor) and value.requires_grad:
            return None
        return self._known.get(id(value), (value, None))[1]

    def _is_lost(self, added: _Added, learning: set[int]) -> bool:
        terms = {node for each in self._spreads for node in each.terms}
        bent = {node for each in self._spreads for node in each.bent}
        line = added.origin.line()
        sources = [one for each in line for one in each.sources]
        return (
            added.value != 0
            and added.node in terms
            and not any(node in bent for each in line for node in each.nodes)
            and not any(self._used_otherwise(each, terms) for each in line)
            and not any(terms & spread(one).terms for one in sources)
            and bool(_leaves(added.origin) & learning)
        )

    def _used_otherwise(self, origin: Origin, terms: set[Any]) -> bool:
        """Tell whether a value goes into the loss by an operation that is no addition."""
        additions = {each.node for each in self.added}
        return any(node in terms - additions for node in origin.nodes)


def _is_term(value: Any, made: torch.Tensor, *, stacked: bool) -> bool:
    """Tell whether a value is a term of its own of what an addition made: one, or one a row."""
    if isinstance(value, float):
        return made.numel() == 1
    return bool(value.shape == made.shape or (stacked and value.numel() == 1))


def _values(tree: Any) -> Iterator[Any]:
    """Yield the tensors and the numbers that are followed, in a tree."""
    if isinstance(tree, (torch.Tensor, Number)):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for each in tree:
            yield from _values(each)
    elif isinstance(tree, dict):
        yield from _values(list(tree.values()))
