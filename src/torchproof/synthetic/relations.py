"""Tasks about relations: which of two items ranks higher, and what a node's neighbours say."""

from __future__ import annotations

import torch

from torchproof.errors import UsageError
from torchproof.synthetic import arguments
from torchproof.synthetic.dataset import Best, SyntheticDataset
from torchproof.synthetic.draws import Source, below, happens, order, scaled


_LEVELS = 32
_WEIGHTS = 8
MAX_FEATURES = 1024
MAX_NODES = 512


def ranking(
    size: int = 1024, *, features: int = 8, noise: float = 0.05, seed: int = 0
) -> SyntheticDataset:
    """Pairs of items; ``y`` is the index of the one that was preferred.

    An item's worth is a hidden linear function of its features; no pair is of equal worth. With
    probability ``noise`` the other item was preferred.

    Returns:
        x (size, 2, features) float32, y (size,) int64; best accuracy 1 - noise.
    """
    source = Source("ranking", 1, arguments.start(seed))
    size = arguments.rows(size)
    features = arguments.whole("features", features, 1, MAX_FEATURES)
    noise = arguments.number("noise", noise, 0, 0.5)
    # An odd weight on a feature that is odd in one item only: so two worths are never equal.
    items = 2 * below(source, "item", (size, 2, features), _LEVELS) - _LEVELS
    odd = below(source, "odd", (size,), 2)
    items[:, :, 0] += torch.stack([odd, 1 - odd], dim=1)
    weights = 2 * below(source, "weight", (features,), 2 * _WEIGHTS) + 1 - 2 * _WEIGHTS
    worth = (items * weights).sum(-1)
    better = (worth[:, 1] > worth[:, 0]).to(torch.int64)
    y = better ^ happens(source, "wrong", (size,), noise).to(torch.int64)
    best = Best("accuracy", 1 - noise, 0.5, "higher")
    return SyntheticDataset(source, {"x": scaled(items, _LEVELS), "y": y}, better, best)


def graphs(
    size: int = 256, *, nodes: int = 12, noise: float = 0.0, seed: int = 0
) -> SyntheticDataset:
    """Graphs in which every node has three neighbours and is to say what most of them are.

    A node's own feature, 0 or 1, says nothing about its label, so a model that ignores the edges
    is at chance. With probability ``noise`` a label is wrong.

    Returns:
        x (size, nodes, 1) float32, edges (size, nodes, nodes) float32 of 0 and 1, symmetric, y
        (size, nodes) int64; best accuracy over nodes 1 - noise.
    """
    source = Source("graphs", 1, arguments.start(seed))
    size, nodes = arguments.rows(size), arguments.whole("nodes", nodes, 4, MAX_NODES)
    if nodes % 2:
        raise UsageError(f"nodes is {nodes}", "Give an even number: each node has an opposite.")
    noise = arguments.number("noise", noise, 0, 0.5)
    bit = below(source, "bit", (size, nodes), 2)
    edges = _edges(source, size, nodes)
    most = (edges * bit[:, None, :]).sum(-1).ge(2).to(torch.int64)
    y = most ^ happens(source, "wrong", (size, nodes), noise).to(torch.int64)
    tensors = {"x": scaled(bit, 1)[:, :, None], "edges": scaled(edges, 1), "y": y}
    return SyntheticDataset(source, tensors, most, Best("accuracy", 1 - noise, 0.5, "higher"))


def _edges(source: Source, size: int, nodes: int) -> torch.Tensor:
    """Join nodes on a ring, in random order, that are opposite or a random step apart."""
    place = order(source, "ring", size, nodes)
    step = 1 + below(source, "step", (size, 1, 1), nodes // 2 - 1)
    apart = (place[:, :, None] - place[:, None, :]) % nodes
    return ((apart == step) | (apart == nodes - step) | (apart == nodes // 2)).to(torch.int64)
