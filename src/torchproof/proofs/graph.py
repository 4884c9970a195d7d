"""The autograd graph: which leaves a backward pass reaches."""

from __future__ import annotations

from typing import Any, Optional

import torch


_BACKWARD = (torch.Tensor.backward, torch.autograd.backward)


def leaves(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Optional[list[torch.Tensor]]:
    """Return the leaves that a call of ``backward`` or ``grad`` gives gradients to.

    None if the function is neither. With ``inputs`` they are the leaves among these; without,
    those of the graph behind the first argument.
    """
    if function is torch.autograd.grad:
        inputs = args[1] if len(args) > 1 else kwargs["inputs"]
    elif function in _BACKWARD:
        inputs = kwargs.get("inputs")
    else:
        return None
    if inputs is not None:
        return [each for each in _sequence(inputs) if each.is_leaf]
    return _behind(_sequence(args[0] if args else kwargs["tensors"]))


def _sequence(tensors: Any) -> list[torch.Tensor]:
    several = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
    return [each for each in several if isinstance(each, torch.Tensor)]


def _behind(roots: list[torch.Tensor]) -> list[torch.Tensor]:
    """Walk from the roots to every leaf that will accumulate a gradient."""
    waiting = [root.grad_fn for root in roots]
    found: list[torch.Tensor] = []
    visited: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        waiting += [parent for parent, _ in node.next_functions]
    return found
