"""What is meant to learn, what the optimizers hold, and where a tensor is first used."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Optional

from torchproof.proofs.step.events import held_by
from torchproof.proofs.step.trial import parameters


if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from torchproof.proofs.step.observation import Observation

ID = "parameter-sets"


def trainable(seen: Observation) -> dict[str, torch.nn.Parameter]:
    """Return the parameters that are meant to learn, by name."""
    trainee = seen.trial.trainee
    return {
        name: each
        for name, each in parameters(trainee).items()
        if each.requires_grad and not any(fnmatchcase(name, p) for p in trainee.frozen)
    }


def used(seen: Observation) -> list[str]:
    """Name those of them that get a gradient."""
    return [name for name, each in trainable(seen).items() if id(each) in seen.fed]


def held_ids(seen: Observation) -> set[int]:
    """Return the ids of the parameters that the known optimizers hold."""
    return {id(each) for each in held_by(seen.optimizers)}


def first_use(seen: Observation, tensors: Sequence[torch.Tensor]) -> Optional[str]:
    """Return the first line that read one of these tensors, if it is known."""
    lines = [seen.used.get(id(each)) for each in tensors]
    return next((line for line in lines if line), None)
