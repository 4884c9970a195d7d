"""Parameters that no gradient reaches: is their path to the loss cut, or does nothing use them?"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from torchproof.proofs.step.trial import parameters


if TYPE_CHECKING:
    from torchproof.proofs.bench import Bench

# Each parameter that gets no gradient costs one more run to tell cut from unused.
_MOST_EXPERIMENTS = 6


def told_apart(bench: Bench, names: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Sort parameters without gradients into cut, unused and not known."""
    if not names or bench.reason_against("reproducible"):
        return [], [], names
    if not _matter(bench, names):
        return [], names, []
    tried, rest = names[:_MOST_EXPERIMENTS], names[_MOST_EXPERIMENTS:]
    cut = [name for name in tried if _matter(bench, [name])]
    if not cut:
        return [], tried, rest
    return cut, [name for name in tried if name not in cut], rest


def by_chance(bench: Bench, names: list[str]) -> list[str]:
    """Name those that a gradient reaches from another seed, and those at other places of a list.

    Experts that no row of the batch asks, layers that are left out at random.
    """
    if not names or bench.reason_against("reproducible"):
        return []
    fed: set[str] = set()
    with bench.trial(seed=bench.seed + 1) as trial, ExitStack() as stack:
        for name, parameter in parameters(trial.trainee).items():
            if name in names and parameter.requires_grad:
                untyped: Any = parameter
                hook = partial(_note, fed, name)
                stack.callback(untyped.register_post_accumulate_grad_hook(hook).remove)
        for _ in bench.reference.losses:
            trial.step()
    places = {_in_any_place(name) for name in fed}
    return [name for name in names if _in_any_place(name) in places]


def _note(fed: set[str], name: str, _: torch.Tensor) -> None:
    fed.add(name)


def _in_any_place(name: str) -> str:
    """Return a parameter's name without its places in lists: ``experts.*.weight``."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


def _matter(bench: Bench, names: list[str]) -> bool:
    """Tell whether the loss changes with the values of these parameters."""
    with bench.trial() as trial:
        for name, parameter in parameters(trial.trainee).items():
            if name in names:
                disturb(parameter)
        for _ in bench.reference.losses:
            trial.step()
        return bench.differs(trial.losses)


def disturb(parameter: torch.Tensor) -> None:
    """Change the values by about their own size, without drawing from the global random state."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(parameter.shape, generator=generator).to(parameter)
    with torch.no_grad():
        parameter.add_(noise * (1 + parameter.abs().mean()))
