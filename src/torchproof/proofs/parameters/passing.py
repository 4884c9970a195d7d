"""Parameters that come and go: those of layers that a model makes while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchproof.proofs.tensors.bits import same


if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from torchproof.proofs.step.observation import Observation


def made_anew(seen: Observation, parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return those among the parameters that each call of the step made anew with other values.

    A norm that is made while a model runs always is the same, and harmless.
    """
    first: dict[int, list[torch.Tensor]] = {}
    for each in parameters:
        if id(each) in seen.passing:
            first.setdefault(seen.passing[id(each)][1], []).append(each)
    if len(first) < len(seen.trial.losses):
        return []
    calls = list(first.values())
    drawn = [any(not same(*pair) for pair in zip(calls[0], other)) for other in calls[1:]]
    return [each for call in calls for each in call] if drawn and all(drawn) else []
