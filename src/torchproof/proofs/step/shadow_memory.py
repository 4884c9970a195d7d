"""Which tensors are known, and the true values of those that were rounded, by their memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torchproof.proofs.step.dispatched import memory


if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch


class Shadow(NamedTuple):
    """The true value of what was rounded, the coarsest type, and the line of the first rounding."""

    true: torch.Tensor
    dtype: torch.dtype
    location: Optional[str]


class Known(NamedTuple):
    """What is known of a tensor: its shadow, if it was rounded.

    Its storage is kept alive, so that no other tensor can get its memory.
    """

    shadow: Optional[Shadow]
    storage: torch.UntypedStorage


class ShadowMemory:
    """What is known of each part of memory: a dispatch mode meets one tensor as several objects."""

    def __init__(self) -> None:
        self._known: dict[int, dict[Any, Known]] = {}

    def keep(self, tensor: torch.Tensor, shadow: Optional[Shadow]) -> None:
        """Know a tensor from now on."""
        if tensor.numel() and memory(tensor):
            parts = self._known.setdefault(memory(tensor), {})
            parts[_part(tensor)] = Known(shadow, tensor.untyped_storage())

    def find(self, tensor: torch.Tensor) -> Optional[Known]:
        """Return what is known of a tensor; None if it is not known, as what learns never is."""
        if tensor.requires_grad:
            self.forget([tensor])
        parts = self._known.get(memory(tensor))
        return parts.get(_part(tensor)) if parts else None

    def forget(self, tensors: Iterable[torch.Tensor]) -> None:
        """Know no longer what lies in the memory of these tensors."""
        for each in tensors:
            self._known.pop(memory(each), None)


def _part(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype
