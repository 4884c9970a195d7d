"""What of a trainee's parameters somebody left untrained on purpose, as far as it can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    import torch

    from torchproof.proofs.step.observation import Observation


def marked_untrained(parameter: torch.Tensor) -> bool:
    """Tell whether somebody has set ``trainable = False`` on a parameter, as other libraries do."""
    return vars(parameter).get("trainable") is False


def frozen_by_mode(seen: Observation, name: str) -> bool:
    """Tell whether a parameter's module is in eval mode while some model trains."""
    trainee = seen.trial.trainee
    training = any(model.training for model in trainee.models.values())
    for key, model in trainee.models.items():
        for path, module in model.named_modules(prefix=key):
            if f"{path}.{name.rpartition('.')[2]}".strip(".") == name:
                return training and not module.training
    return False


def idle_models(seen: Observation, held: set[int]) -> tuple[str, ...]:
    """Return the names of those of several models that nobody trains: teachers, judges."""
    models = seen.trial.trainee.models
    return tuple(
        key
        for key, model in models.items()
        if len(models) > 1 and not any(id(each) in held for each in model.parameters())
    )
