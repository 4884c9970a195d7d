"""Where the values of a tensor come from: a model, the batch alone, or neither as far as is known.

Followed through operations outside the models, and for tensors without a gradient only, as one
that has a gradient comes from a model. To keep little alive, only tensors with as many rows as one
of the batch are followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch


if TYPE_CHECKING:
    from torchproof.proofs.step.trial import Trial


class Sources:
    """The sources of the tensors of one trial's steps."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        # Tensors are kept alive with their ids, so that no other tensor can get the same id.
        self._known: dict[int, tuple[torch.Tensor, str]] = {}

    def of(self, tensor: torch.Tensor) -> str:
        """Return ``model``, ``batch`` or an empty string."""
        if tensor.requires_grad:
            return "model"
        if any(tensor is each for each in self._trial.given.values()):
            return "batch"
        return self._known.get(id(tensor), (tensor, ""))[1]

    def of_batch(self, tensor: torch.Tensor) -> bool:
        """Tell whether the values come from the batch alone, as far as is known or seen by value.

        What is seen are all values of one of its tensors, with and without those of the first
        position: labels that were flattened.
        """
        if tensor.requires_grad or self.of(tensor):
            return self.of(tensor) == "batch"
        given = [each for each in self._trial.given.values() if each.dim() > 1]
        whole = [part for each in given for part in (each, each[:, 1:])]
        alike = [each for each in whole if each.numel() == tensor.numel() > 1]
        flat = tensor.detach().flatten()
        return any(
            each.dtype == flat.dtype and bool((each.flatten() == flat).all()) for each in alike
        )

    def trace(self, sources: set[str], result: Any) -> None:
        """Note the result, a tensor or several, of an operation on values of these sources."""
        source = next((each for each in ("model", "batch") if each in sources), "")
        rows = {each.shape[:1] for each in self._trial.given.values()}
        made = result if isinstance(result, (tuple, list)) else [result]
        for each in made if source else ():
            if isinstance(each, torch.Tensor) and each.shape[:1] in rows and not each.requires_grad:
                self._known[id(each)] = (each, source)
