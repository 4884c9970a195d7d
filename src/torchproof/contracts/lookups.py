"""Token ids: the integers by which a forward pass takes rows of a table.

A table is what an embedding reads, a weight that is indexed, or a one-hot code. Activations that
are indexed, such as the nodes at the ends of edges, are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch


if TYPE_CHECKING:
    from collections.abc import Iterator


def lookups(name: str, args: Any) -> Iterator[tuple[torch.Tensor, int]]:
    """Yield the ids that an operation looks up, each with the number of rows of their table."""
    if name in ("embedding", "embedding_bag"):
        yield args[1], args[0].shape[0]
    elif name == "index" and _is_weight(args[0]):
        for axis, ids in enumerate(args[1]):
            if ids is not None and ids.dtype != torch.bool:
                yield ids, args[0].shape[axis]
    elif (name == "index_select" and _is_weight(args[0])) or _is_one_hot(name, args):
        yield args[2], args[0].shape[args[1]]


def _is_weight(table: torch.Tensor) -> bool:
    return isinstance(table, torch.nn.Parameter)


def _is_one_hot(name: str, args: Any) -> bool:
    return name == "scatter" and isinstance(args[-1], (int, float)) and args[-1] == 1
