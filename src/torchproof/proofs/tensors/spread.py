"""The autograd graph behind a tensor: the terms it is a sum of, and what stands behind them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from torchproof.proofs.tensors.graph import operation, parents


# What a function mode meets where ``.grad`` is read.
GRADIENT: Any = vars(torch._C.TensorBase)["grad"].__get__  # noqa: SLF001 - torch has no public name
# What comes out is a sum of what goes in, with factors that do not learn.
_SUMS = (
    *("Add", "Sub", "Rsub", "Neg", "Mean", "Sum", "Stack", "Clone", "ToCopy", "Alias"),
    *("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Expand"),
)


class Spread(NamedTuple):
    """The nodes behind a tensor: ``terms`` it is a plain sum of, ``bent`` behind other operations.

    A node may be in both. A term that no sum made is there itself; what it is made of is ``bent``.
    """

    terms: frozenset[Any]
    bent: frozenset[Any]


def spread(root: torch.Tensor) -> Spread:
    """Tell the terms of a tensor from what stands behind them."""
    terms: set[Any] = set()
    bent: set[Any] = set()
    waiting: list[Any] = [root.grad_fn]
    behind: list[Any] = []
    while waiting:
        node = waiting.pop()
        if node is not None and node not in terms:
            terms.add(node)
            (waiting if _sums(node) else behind).extend(parents(node))
    while behind:
        node = behind.pop()
        if node is not None and node not in bent:
            bent.add(node)
            behind.extend(parents(node))
    return Spread(frozenset(terms), frozenset(bent))


def nodes_behind(tensor: torch.Tensor) -> frozenset[Any]:
    """Return all nodes of the graph behind a tensor."""
    return frozenset[Any]().union(*spread(tensor))


def leaves_behind(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Return the leaves with a gradient that a tensor is made of; itself, if it is one."""
    if tensor.grad_fn is None:
        return [tensor] if tensor.requires_grad else []
    return [node.variable for node in nodes_behind(tensor) if hasattr(node, "variable")]


def _sums(node: Any) -> bool:
    """Tell whether a node adds, or multiplies by what does not learn."""
    name, behind = operation(node), parents(node)
    if name in ("Mul", "Div"):
        learning = [at for at, each in enumerate(behind) if each is not None]
        return len(learning) == 1 and (name == "Mul" or learning == [0])
    return name in _SUMS
