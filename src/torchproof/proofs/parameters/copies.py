"""Modules that began as copies of one, compute the same and can never part."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from torchproof.proofs.process.fingerprints import digest
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import same
from torchproof.proofs.tensors.trees import clone, named_tensors


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation


def copied_modules(bench: Bench, seen: Observation) -> list[list[str]]:
    """Return the groups of modules that stay copies of one, by path, the outermost only.

    Their weights were drawn and are the same bits before the first call and after the last, an
    optimizer has moved all of them, and in the first call they returned the same for the same.
    """
    groups: dict[Any, list[str]] = {}
    for path, names in _weights(seen).items():
        if _drawn(seen, names) and _pushed(seen, names):
            before, after = ([state[each] for each in names] for state in (seen.before, seen.after))
            shapes = tuple(tuple(each.shape) for each in before)
            groups.setdefault((shapes, digest(before), digest(after)), []).append(path)
    several = [paths for paths in groups.values() if len(paths) > 1]
    outer = [paths for paths in several if not _inside_others(paths, several)]
    return [paths for paths in outer if _compute_the_same(bench, paths)]


def _weights(seen: Observation) -> dict[str, list[str]]:
    """Name the parameters that learn of each module that has some, all of its own."""
    learning = {name for name, each in parameters(seen.trial.trainee).items() if each.requires_grad}
    found: dict[str, list[str]] = {}
    for key, model in seen.trial.trainee.models.items():
        for path, module in model.named_modules(prefix=key):
            names = [f"{path}.{own}".strip(".") for own, _ in module.named_parameters()]
            # What wraps one module holds the same parameters, and is the same.
            if names and learning.issuperset(names) and names not in found.values():
                found[path] = names
    return found


def _drawn(seen: Observation, names: list[str]) -> bool:
    """Tell whether some weight holds different numbers; constants may be equal by design."""
    flat = [seen.before[name].flatten() for name in names]
    return any(bool((each != each[:1]).any()) for each in flat)


def _pushed(seen: Observation, names: list[str]) -> bool:
    """Tell whether an optimizer has given each of these parameters a gradient and moved it."""
    named = parameters(seen.trial.trainee)
    pushed = {key for update in seen.updates for key, move in update.moves.items() if move.elements}
    return all(id(named[each]) in pushed for each in names) and any(
        not same(seen.before[each], seen.after[each]) for each in names
    )


def _inside_others(paths: list[str], groups: list[list[str]]) -> bool:
    """Tell whether all of these modules are parts of the modules of one other group."""
    return any(
        all(path.startswith(tuple(f"{other}." for other in group)) for path in paths)
        for group in groups
        if group is not paths
    )


def _compute_the_same(bench: Bench, paths: list[str]) -> bool:
    """Tell whether these modules are called alike in a call of the step, with the same results."""
    calls: dict[str, list[list[torch.Tensor]]] = {path: [] for path in paths}
    with bench.trial() as trial, ExitStack() as stack:
        for key, model in trial.trainee.models.items():
            for path, module in model.named_modules(prefix=key):
                if path in calls:
                    hook = partial(_note, calls[path])
                    stack.callback(module.register_forward_hook(hook).remove)
        trial.step()
    first, *others = calls.values()
    return bool(first) and all(_alike(first, other) for other in others)


def _note(calls: list[list[torch.Tensor]], _: Any, given: Any, output: Any) -> None:
    calls.append(list(named_tensors(clone((given, output))).values()))


def _alike(first: list[list[torch.Tensor]], second: list[list[torch.Tensor]]) -> bool:
    return [len(each) for each in first] == [len(each) for each in second] and all(
        same(*pair) for calls in zip(first, second) for pair in zip(*calls)
    )
