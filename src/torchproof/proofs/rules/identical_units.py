"""Units of a layer must be able to become different."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from torchproof.proofs.bench import CALLS
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.parameters.copies import copied_modules
from torchproof.proofs.parameters.symmetric import axes_of_units, symmetric_units
from torchproof.proofs.rule import rule
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.step.updates import watch_updates


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation

ID = "identical-units"
_LAYERS = (
    torch.nn.Linear,
    torch.nn.Bilinear,
    torch.nn.modules.conv._ConvNd,  # noqa: SLF001 - torch has no public name for all convolutions
    torch.nn.RNNBase,
    torch.nn.RNNCellBase,
)
_MOST_EXPERIMENTS = 4


@rule(
    ID,
    summary="the units of a layer differ, or become different as they learn",
    source="Humbatova et al., ICSE 2020 (weights initialisation); TheDeepChecker",
    needs=("updates",),
    severity="error",
)
def identical_units(bench: Bench) -> Iterator[Finding]:
    """No layer consists of copies of one unit that can never part.

    Decided from the weights of linear, convolutional and recurrent layers before the first call
    and after the last, and from their gradients at every update (three at least, with a learning
    rate that is not 0):

    * all rows (those of each gate of a recurrent layer) are bit-equal before and after, and the
      weight moved: the units got equal gradients, so they stay copies of one (error),
    * all slices of any parameter along one axis began as copies of one, have equal gradients at
      every update in float64, and would not if the parameters of this kind held noise: columns of a
      matrix, factors of an embedding, components of a mixture (error). Positions that are only
      summed up, or equal channels of the data, get equal gradients whatever they hold,
    * the weight is one constant and its gradient is exactly 0 at every update: nothing can ever
      move it (error); so for a parameter of no such layer that is all 0, if its gradient is not 0
      once noise is put on the others of this kind: factors of one product,
    * modules whose weights were drawn began as copies of one, get the same inputs, return the same
      and still are copies after the last call (error): experts, members of an ensemble, twin
      critics. Copies that see other inputs, or that other dropout masks part, are none,
    * the gradient of a weight that was drawn at random is exactly 0 at every update: dead units, or
      a part that this batch does not use (info).

    Zero-initialised branches (LoRA, ReZero) and heads part with the second update. Assumes that no
    layer is meant to consist of copies. Skipped if fewer than two optimizer steps were seen.
    """
    seen = bench.observation
    if len({update.call for update in seen.updates}) < CALLS:
        return
    alike: dict[str, int] = {}
    stuck: list[str] = []
    dead: list[str] = []
    for name, units in _weights(seen).items():
        old, new = seen.before[name], seen.after[name]
        pushed = _pushed(seen, name)
        copies = _rows_equal(old, units) and _rows_equal(new, units)
        if pushed and copies and not torch.equal(old, new):
            alike[name] = units
        elif pushed is False:
            (stuck if bool((old == old.flatten()[0]).all()) else dead).append(name)
    stuck += _held_by_each_other(bench, _zeros(seen))
    held = symmetric_units(bench, seen, {} if alike else _axes(seen))
    alike.update((name, seen.before[name].shape[axis]) for name, axis in held.items())
    yield from _report(seen, alike, stuck, dead)
    for paths in copied_modules(bench, seen):
        yield _copied(seen, paths)


def _copied(seen: Observation, paths: list[str]) -> Finding:
    named = parameters(seen.trial.trainee)
    inside = [name for name in named if name.startswith(f"{paths[0]}.")]
    return Finding(
        ID,
        "error",
        f"{listed(paths)} are copies of one module: they began equal, compute the same and get "
        f"equal updates, so that they never differ.",
        evidence={"modules": len(paths), "calls": len(seen.trial.losses)},
        location=_line(seen, inside),
        remedy="make each by a call of its class, not by copy.deepcopy of one",
    )


def _axes(seen: Observation) -> dict[str, list[int]]:
    """Name the parameters that an optimizer pushed and whose units began equal, with their axes.

    Of a layer's weight the units are its rows; its columns belong to what stands before it.
    """
    layers, axes = _weights(seen), {}
    for name in parameters(seen.trial.trainee):
        equal = axes_of_units(seen.before[name])
        if name in layers:
            one_gate = layers[name] == len(seen.before[name])
            equal = [axis for axis in equal if axis == 0 and one_gate]
        if equal and _pushed(seen, name):
            axes[name] = equal
    return axes


def _zeros(seen: Observation) -> list[str]:
    """Name the parameters of no layer that are 0 and have a gradient of 0 at every update."""
    layers = _weights(seen)
    return [
        name
        for name in parameters(seen.trial.trainee)
        if name not in layers and not seen.before[name].any() and _pushed(seen, name) is False
    ]


def _held_by_each_other(bench: Bench, names: list[str]) -> list[str]:
    """Name those that get a gradient once the others are not 0."""
    several = names if len(names) > 1 else []
    return [name for name in several[:_MOST_EXPERIMENTS] if _freed(bench, name, names)]


def _freed(bench: Bench, name: str, names: list[str]) -> bool:
    generator = torch.Generator().manual_seed(0)
    with bench.trial() as trial, watch_updates(trial) as log:
        named = parameters(trial.trainee)
        for other in names:
            if other != name:
                noise = torch.randn(named[other].shape, generator=generator)
                named[other].data.add_(noise.to(named[other]))
        for _ in bench.reference.losses:
            trial.step()
    moves = [update.moves.get(id(named[name])) for update in log.updates]
    return any(move is not None and move.elements > 0 for move in moves)


def _report(
    seen: Observation, alike: dict[str, int], stuck: list[str], dead: list[str]
) -> Iterator[Finding]:
    facts = {"updates": len(seen.updates), "calls": len(seen.trial.losses)}
    if alike:
        yield Finding(
            ID,
            "error",
            f"All units of {listed(list(alike))} are copies of one: they began equal, got equal "
            f"gradients and will never differ.",
            evidence={
                "layers": len(alike),
                "units of the first": next(iter(alike.values())),
                **facts,
            },
            location=_line(seen, list(alike)),
            remedy="torch.nn.init.kaiming_uniform_(layer.weight)  # instead of a constant",
        )
    if stuck:
        yield Finding(
            ID,
            "error",
            f"{listed(stuck)} started as one constant and have a gradient of exactly 0 at every "
            f"update: they can never learn.",
            evidence={
                "layers": len(stuck),
                "value": float(seen.before[stuck[0]].flatten()[0]),
                **facts,
            },
            location=_line(seen, stuck),
            remedy="torch.nn.init.kaiming_uniform_(layer.weight)  # instead of a constant",
        )
    if dead:
        yield Finding(
            ID,
            "info",
            f"The gradient of {listed(dead)} is exactly 0 at every update: dead units, or a part "
            f"that this batch does not use.",
            evidence={"layers": len(dead), **facts},
            location=_line(seen, dead),
            remedy="a smaller learning rate or another initialisation, if all batches do so",
        )


def _weights(seen: Observation) -> dict[str, int]:
    """Name the weights of layers that multiply, each with the number of units side by side."""
    units = {
        f"{path}.{own}".strip("."): _units(module, len(each))
        for key, model in seen.trial.trainee.models.items()
        for path, module in model.named_modules(prefix=key)
        if isinstance(module, _LAYERS)
        for own, each in module.named_parameters(recurse=False)
        if each.dim() > 1 and _units(module, len(each)) > 1
    }
    return {name: units[name] for name in units if name in parameters(seen.trial.trainee)}


def _units(module: torch.nn.Module, rows: int) -> int:
    """Return how many of a weight's rows belong together; a recurrent layer has several gates."""
    hidden = getattr(module, "hidden_size", rows)
    return hidden if isinstance(hidden, int) and hidden and rows % hidden == 0 else rows


def _pushed(seen: Observation, name: str) -> bool | None:
    """Tell whether a gradient other than 0 was at an update; None if that cannot be said."""
    parameter = parameters(seen.trial.trainee)[name]
    moves = [
        update.moves[id(parameter)] for update in seen.updates if id(parameter) in update.moves
    ]
    if any(move.elements for move in moves):
        return True
    return False if len([move for move in moves if move.rate]) >= CALLS else None


def _rows_equal(weight: torch.Tensor, units: int) -> bool:
    groups = weight.reshape(-1, units, *weight.shape[1:])
    return bool((groups == groups[:, :1]).all())


def _line(seen: Observation, names: list[str]) -> str | None:
    named = parameters(seen.trial.trainee)
    lines = [seen.used.get(id(named[name])) for name in names]
    return next((line for line in lines if line), None)
