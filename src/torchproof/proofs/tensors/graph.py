"""The autograd graph: which leaves a backward pass reaches, and what a tensor was laid out of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import torch


if TYPE_CHECKING:
    from collections.abc import Container, Iterable

_BACKWARD = (torch.Tensor.backward, torch.autograd.backward)
# They keep the order of the numbers in memory.
VIEWS = ("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Alias")
# They lay the same numbers out anew.
LAYOUTS = (*VIEWS, "Transpose", "T", "Permute", "Clone", "Cat")
# Constant between their steps: torch gives them a gradient of 0.
_STEPS = ("Round", "Sign", "Floor", "Ceil", "Trunc")


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


def flat_leaves(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> set[int]:
    """Return the ids of the leaves whose only ways to the loss lead through step functions.

    Their gradient is 0 whatever happens. Empty if the function is not ``backward``.
    """
    if function not in _BACKWARD or kwargs.get("inputs") is not None:
        return set()
    roots = _sequence(args[0] if args else kwargs["tensors"])
    all_, sloped = ({id(each) for each in _behind(roots, stop)} for stop in ((), _STEPS))
    return all_ - sloped


def makers(tensor: torch.Tensor, names: tuple[str, ...], through: tuple[str, ...]) -> list[Any]:
    """Return the nodes of these names that a tensor comes from, through nodes of other names."""
    return [each for each in ends([tensor.grad_fn], through) if operation(each) in names]


def ends(starts: Iterable[Any], through: tuple[str, ...], stops: Container[Any] = ()) -> list[Any]:
    """Return the nodes at which a walk backward ends that goes through some operations only.

    Args:
        starts: Nodes; None among them is passed over.
        through: The operations that it goes through.
        stops: Nodes that it does not go through, whatever their operation.
    """
    waiting, met, found = list(starts), {None}, []
    while waiting:
        node = waiting.pop()
        if node in met:
            continue
        met.add(node)
        if node not in stops and operation(node) in through:
            waiting += parents(node)
        else:
            found.append(node)
    return found


def operation(node: Any) -> str:
    """Name the operation that a node goes backward through."""
    return type(node).__name__.partition("Backward")[0]


def parents(node: Any) -> list[Any]:
    """Return the nodes behind a node, by input; None for an input that needs no gradient."""
    return [each for each, _ in node.next_functions]


def roots(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """Return the tensors that a call of ``backward`` starts at; none for another function."""
    starts = function in _BACKWARD
    return _sequence(args[0] if args else kwargs["tensors"]) if starts else []


def _sequence(tensors: Any) -> list[torch.Tensor]:
    several = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
    return [each for each in several if isinstance(each, torch.Tensor)]


def _behind(roots: list[torch.Tensor], stop: tuple[str, ...] = ()) -> list[torch.Tensor]:
    """Walk from the roots to every leaf that will accumulate a gradient, but not through a stop."""
    waiting = [root.grad_fn for root in roots]
    found: list[torch.Tensor] = []
    visited: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        if operation(node) in stop:
            continue
        if hasattr(node, "variable"):
            found.append(node.variable)
        waiting += parents(node)
    return found
