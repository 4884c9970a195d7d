"""Backward passes whose gradients nothing ever reads: cleared before an update could use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from torchproof.proofs.step.dispatched import memory
from torchproof.proofs.step.spent_gradients import SILENT
from torchproof.proofs.tensors.trees import tensors


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import torch

# What a backward pass may be run for besides the gradients of leaves.
_LISTENING = ("register_hook", "retain_grad", "register_post_accumulate_grad_hook")


class _Pass(NamedTuple):
    """The leaves that a backward pass reaches, and by id what it left there and nothing read."""

    leaves: frozenset[int]
    left: dict[int, torch.Tensor]


class UnreadGradients:
    """Follows what backward passes leave, and keeps it unread: nothing else gets its memory."""

    def __init__(self) -> None:
        self._passes: list[_Pass] = []
        self._holders: dict[int, list[_Pass]] = {}
        self._listens = False

    def backward(self, leaves: Iterable[torch.Tensor], options: Mapping[str, Any]) -> None:
        """Note that a backward pass begins; one with a graph of its own adds up in new memory."""
        self._passes.append(_Pass(frozenset(map(id, leaves)), {}))
        self._listens |= bool(options.get("create_graph"))

    def delivered(self, parameter: torch.Tensor) -> None:
        """Note that it has brought a gradient."""
        if self._passes and parameter.grad is not None:
            self._passes[-1].left[id(parameter)] = parameter.grad
            self._holders.setdefault(memory(parameter.grad), []).append(self._passes[-1])

    def operation(self, name: str, args: Sequence[Any]) -> None:
        """Note what a torch function reads."""
        self._listens |= name in _LISTENING
        if self._passes and name not in SILENT:
            self.read(tensors(args))

    def read(self, tensors: Iterable[Optional[torch.Tensor]]) -> None:
        """Note that these tensors are read."""
        for each in (one for one in tensors if one is not None and self._holders):
            for holder in self._holders.pop(memory(each), ()):
                holder.left.clear()

    def unread(self) -> list[int]:
        """Return the places of the passes that left gradients of which none was read."""
        complete = [
            place
            for place, each in enumerate(self._passes)
            if each.left
            and each.leaves == each.left.keys()
            and all(map(memory, each.left.values()))
        ]
        return [] if self._listens else complete
