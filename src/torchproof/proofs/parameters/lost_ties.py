"""Parameters that were one while the model was built, and are two when it is trained.

torch keeps no record of it, but tells when a module is given a parameter or another module: what
was at that place before is what counts.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from torchproof.proofs.tensors.bits import same


if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.trainee import Trainee


class _Former(NamedTuple):
    """What a place under a module held: a parameter, its owner and its name there."""

    module: torch.nn.Module
    place: str
    owner: torch.nn.Module
    name: str
    parameter: torch.nn.Parameter


def lost_ties(bench: Bench) -> list[tuple[str, str]]:
    """Return the pairs of parameters that were tied, were both replaced, and part in training.

    They begin with equal bits: what replaced them is copies of one value. A tie of two places in
    one shared module is passed over, as is one of which only one side was replaced: that is how a
    tie is undone on purpose.
    """
    with _replaced() as formers, bench.trial() as trial:
        history = _history(trial.trainee, formers)
        now = _named(trial.trainee)
        pairs = [
            (first, second)
            for first, second in combinations(history, 2)
            if _were_one(history[first], history[second]) and _are_copies(now[first], now[second])
        ]
    return [pair for pair in pairs if _come_apart(bench, *pair)]


@contextmanager
def _replaced() -> Iterator[list[_Former]]:
    """Collect what modules held at places that are given something else in the block."""
    formers: list[_Former] = []

    def parameter(module: torch.nn.Module, name: str, _: Any) -> None:
        old = module._parameters.get(name)  # noqa: SLF001 - it may be hidden by another attribute
        if old is not None:
            formers.append(_Former(module, name, module, name, old))

    def child(module: torch.nn.Module, name: str, _: Any) -> None:
        old = module._modules.get(name)  # noqa: SLF001 - as above
        for path, each in old.named_modules(remove_duplicate=False) if old is not None else ():
            place = f"{name}.{path}".rstrip(".")
            for last, one in each.named_parameters(recurse=False, remove_duplicate=False):
                formers.append(_Former(module, f"{place}.{last}", each, last, one))

    hooks = [
        register_module_parameter_registration_hook(parameter),
        register_module_module_registration_hook(child),
    ]
    try:
        yield formers
    finally:
        for hook in hooks:
            hook.remove()


def _history(trainee: Trainee, formers: list[_Former]) -> dict[str, list[_Former]]:
    """Return what the places of today's parameters held before, by the parameter's name."""
    prefixes = {
        id(module): path
        for key, model in trainee.models.items()
        for path, module in model.named_modules(prefix=key)
    }
    known = _named(trainee)
    history: dict[str, list[_Former]] = {}
    for each in formers:
        name = f"{prefixes.get(id(each.module), '?')}.{each.place}".lstrip(".")
        if name in known and known[name] is not each.parameter:
            history.setdefault(name, []).append(each)
    return history


def _named(trainee: Trainee) -> dict[str, torch.nn.Parameter]:
    return {
        name: each
        for key, model in trainee.models.items()
        for name, each in model.named_parameters(prefix=key, remove_duplicate=False)
    }


def _were_one(first: list[_Former], second: list[_Former]) -> bool:
    return any(
        one.parameter is other.parameter and (one.owner, one.name) != (other.owner, other.name)
        for one in first
        for other in second
    )


def _are_copies(first: torch.Tensor, second: torch.Tensor) -> bool:
    learn = first.requires_grad and second.requires_grad
    apart = first is not second and first.data_ptr() != second.data_ptr()
    return learn and apart and first.shape == second.shape and same(first, second)


def _come_apart(bench: Bench, first: str, second: str) -> bool:
    before, after = bench.observation.before, bench.observation.after
    if not {first, second} <= before.keys():
        return False
    moved = all(not same(before[name], after[name]) for name in (first, second))
    return moved and not same(after[first], after[second])
