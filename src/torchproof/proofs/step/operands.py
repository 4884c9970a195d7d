"""What is known of the tensors that operations of a step are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import torch

from torchproof.proofs.step.observation import Operand


if TYPE_CHECKING:
    from torchproof.proofs.step.sources import Sources


class Operands:
    """Follows new axes, outputs of models and sources from one operation to the next."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        # Tensors are kept alive with their ids, so that no other tensor can get the same id.
        self._new_axes: dict[int, tuple[torch.Tensor, Optional[str]]] = {}
        self._outputs: dict[int, torch.Tensor] = {}

    def of(self, tensor: torch.Tensor) -> Operand:
        """Return what is known of a tensor that an operation is given."""
        return Operand(
            tuple(tensor.shape),
            tensor.requires_grad,
            self._new_axes.get(id(tensor), (tensor, None))[1],
            id(tensor) in self._outputs,
            self._sources.of(tensor),
        )

    def returned(self, tensor: torch.Tensor) -> None:
        """Note a tensor that a model returns."""
        self._outputs[id(tensor)] = tensor
        self._sources.trace({"model"}, tensor)

    def made(self, name: str, args: Any, given: tuple[Operand, ...], result: Any, at: Any) -> None:
        """Note the result of an operation outside the models, and the line that asks for it."""
        if name == "broadcast_tensors":  # returns each of what it is given, in another shape
            for one, each in zip(given, result):
                self._sources.trace({one.source}, each)
            return
        self._sources.trace({each.source for each in given}, result)
        if not isinstance(result, torch.Tensor):
            return
        if _adds_axis(name, args):
            self._new_axes[id(result)] = (result, at)
        if len(given) == 1 and given[0].is_output and result.shape == given[0].shape:
            self._outputs[id(result)] = result


def tensors_among(values: Any) -> list[torch.Tensor]:
    """Return the tensors among the values and in lists and tuples among them."""
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += [item for item in value if isinstance(item, torch.Tensor)]
    return found


def _adds_axis(name: str, args: Any) -> bool:
    """Tell whether the user wrote a new axis: ``unsqueeze`` or an index with None."""
    if name in ("unsqueeze", "unsqueeze_"):
        return True
    index = args[1] if name == "__getitem__" and len(args) > 1 else ()
    return index is None or (isinstance(index, tuple) and any(item is None for item in index))
