"""Parameters that no gradient reaches: is their path to the loss cut, or does nothing use them?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from torchproof.proofs.trial import parameters


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


def _matter(bench: Bench, names: list[str]) -> bool:
    """Tell whether the loss changes with the values of these parameters."""
    with bench.trial() as trial:
        for name, parameter in parameters(trial.trainee).items():
            if name in names:
                _disturb(parameter)
        for _ in bench.reference.losses:
            trial.step()
        return bench.differs(trial.losses)


def _disturb(parameter: torch.Tensor) -> None:
    """Change the values by about their own size, without drawing from the global random state."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(parameter.shape, generator=generator).to(parameter)
    with torch.no_grad():
        parameter.add_(noise * (1 + parameter.abs().mean()))
