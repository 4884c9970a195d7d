"""What an optimizer remembers from one update to the next, and whether any update ever uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.optimizers import optimizer_hooks, remembered_in
from torchproof.proofs.step.trial import parameters
from torchproof.proofs.tensors.bits import same


if TYPE_CHECKING:
    import torch
    from torch.optim import Optimizer

    from torchproof.proofs.bench import Bench
    from torchproof.proofs.step.observation import Observation
    from torchproof.proofs.step.updates import Update

_UPDATES = 2


def without_memory(bench: Bench) -> list[Update]:
    """Return the updates of a parameter that all begin with an empty state and leave one.

    Empty if none does, if it is given a closure, or if something else than updates writes to the
    parameter in between: a learner that starts anew on purpose puts its parameters back.
    """
    seen = bench.observation
    for name, each in parameters(seen.trial.trainee).items():
        mine = [update for update in seen.updates if id(each) in update.moves]
        if len(mine) >= _UPDATES and all(_forgets(update, each) for update in mine):
            return [] if _closure(seen, each) or _written_between(bench, name) else mine
    return []


def _forgets(update: Update, parameter: torch.Tensor) -> bool:
    return update.first and bool(remembered_in(update.optimizer.state.get(parameter, {})))


def _closure(seen: Observation, parameter: torch.Tensor) -> bool:
    given = [update.optimizer for update in seen.updates if update.closure]
    return any(each is parameter for each in held_by(given))


def _written_between(bench: Bench, name: str) -> bool:
    """Tell whether a parameter is another at an update than the last one left it."""
    left: list[torch.Tensor] = []
    written: list[bool] = []

    def before(_: Optimizer) -> None:
        written.extend(not same(each, parameter.detach()) for each in left[-1:])

    def after(optimizer: Optimizer) -> None:
        if any(each is parameter for each in held_by([optimizer])):
            left.append(parameter.detach().clone())

    with bench.trial() as trial, optimizer_hooks(before=before, after=after):
        parameter = parameters(trial.trainee)[name]
        for _ in bench.reference.losses:
            trial.step()
        before_end = [not same(each, parameter.detach()) for each in left[-1:]]
    return any(written) or any(before_end)
