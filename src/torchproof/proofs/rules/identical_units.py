"""Units of a layer must be able to become different."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from torchproof.proofs.bench import CALLS
from torchproof.proofs.finding import Finding, listed
from torchproof.proofs.rule import rule
from torchproof.proofs.trial import parameters


if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.observe import Observation

ID = "identical-units"
_LAYERS = (
    torch.nn.Linear,
    torch.nn.Bilinear,
    torch.nn.modules.conv._ConvNd,  # noqa: SLF001 - torch has no public name for all convolutions
    torch.nn.RNNBase,
    torch.nn.RNNCellBase,
)


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

    * all rows are bit-equal before and after, and the weight moved: the units got equal gradients,
      so they stay copies of one (error),
    * the weight is one constant and its gradient is exactly 0 at every update: nothing can ever
      move it (error),
    * the gradient of a weight that was drawn at random is exactly 0 at every update: dead units, or
      a part that this batch does not use (info).

    Zero-initialised branches (LoRA, ReZero) and heads part with the second update. Assumes that no
    layer is meant to consist of copies. Skipped if fewer than two optimizer steps were seen.
    """
    seen = bench.observation
    if len({update.call for update in seen.updates}) < CALLS:
        return
    alike: list[str] = []
    stuck: list[str] = []
    dead: list[str] = []
    for name in _weights(seen):
        old, new = seen.before[name], seen.after[name]
        pushed = _pushed(seen, name)
        if pushed and _rows_equal(old) and _rows_equal(new) and not torch.equal(old, new):
            alike.append(name)
        elif pushed is False:
            (stuck if bool((old == old.flatten()[0]).all()) else dead).append(name)
    yield from _report(seen, alike, stuck, dead)


def _report(
    seen: Observation, alike: list[str], stuck: list[str], dead: list[str]
) -> Iterator[Finding]:
    facts = {"updates": len(seen.updates), "calls": len(seen.trial.losses)}
    if alike:
        yield Finding(
            ID,
            "error",
            f"All units of {listed(alike)} are copies of one: they began equal, got equal "
            f"gradients and will never differ.",
            evidence={
                "layers": len(alike),
                "rows of the first": len(seen.before[alike[0]]),
                **facts,
            },
            location=_line(seen, alike),
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


def _weights(seen: Observation) -> list[str]:
    """Name the weights with several rows of layers that multiply."""
    names = [
        f"{path}.{own}".strip(".")
        for key, model in seen.trial.trainee.models.items()
        for path, module in model.named_modules(prefix=key)
        if isinstance(module, _LAYERS)
        for own, each in module.named_parameters(recurse=False)
        if each.dim() > 1 and len(each) > 1
    ]
    return [name for name in names if name in parameters(seen.trial.trainee)]


def _pushed(seen: Observation, name: str) -> bool | None:
    """Tell whether a gradient other than 0 was at an update; None if that cannot be said."""
    parameter = parameters(seen.trial.trainee)[name]
    moves = [
        update.moves[id(parameter)] for update in seen.updates if id(parameter) in update.moves
    ]
    if any(move.elements for move in moves):
        return True
    return False if len([move for move in moves if move.rate]) >= CALLS else None


def _rows_equal(weight: torch.Tensor) -> bool:
    return bool((weight == weight[:1]).all())


def _line(seen: Observation, names: list[str]) -> str | None:
    named = parameters(seen.trial.trainee)
    lines = [seen.used.get(id(named[name])) for name in names]
    return next((line for line in lines if line), None)
