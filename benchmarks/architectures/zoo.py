"""Five families in which each edit is one keyword: what a colleague might change in a review."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it


class Perceptron(nn.Module):
    """Dense layers whose activation is a module, dropout and nothing else."""

    def __init__(
        self,
        act: Any = nn.ReLU,
        hidden: int = 24,
        *,
        bias: bool = True,
        drop: float = 0.1,
        unused: bool = False,
        swapped: bool = False,
    ) -> None:
        super().__init__()
        if swapped:
            self.second = nn.Linear(hidden, 4)
        self.first = nn.Linear(16, hidden, bias=bias)
        self.act = act()
        self.drop = nn.Dropout(drop)
        if not swapped:
            self.second = nn.Linear(hidden, 4)
        if unused:
            self.spare = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (rows, 4)."""
        return self.second(self.drop(self.act(self.first(x))))


class Functions(nn.Module):
    """Dense layers whose activations are calls."""

    def __init__(self, act: Any = F.relu, last: Any = None, *, matmul: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 24), nn.Linear(24, 4)
        self._act, self._last, self._matmul = act, last or act, matmul
        self.third = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (rows, 4)."""
        first = self.first
        h = x @ first.weight.T + first.bias if self._matmul else first(x)
        return self.third(self._last(self.second(self._act(h))))


class Pictures(nn.Module):
    """Convolutions with batch norm."""

    def __init__(
        self,
        act: Any = nn.ReLU,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        padding: int = 1,
        stride: int = 1,
        pool: Any = nn.MaxPool2d,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8, eps=eps, momentum=momentum)
        self.act, self.pool = act(), pool(2)
        self.second = nn.Conv2d(8, 8, 3, padding=padding, stride=stride, groups=groups)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (rows, 5)."""
        h = self.pool(self.act(self.norm(self.first(x))))
        return self.head(self.act(self.second(h)).mean((2, 3)))


class Sentences(nn.Module):
    """Token ids through an LSTM."""

    def __init__(self, *, layers: int = 1, both_ways: bool = False, mean: bool = False) -> None:
        super().__init__()
        self.words = nn.Embedding(40, 12)
        self.lstm = nn.LSTM(12, 16, layers, bidirectional=both_ways, batch_first=True)
        self.head = nn.Linear(32 if both_ways else 16, 3)
        self._mean = mean

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return (rows, 3)."""
        states, _ = self.lstm(self.words(ids))
        return self.head(states.mean(1) if self._mean else states[:, -1])


class Block(nn.Module):
    """Attention and two dense layers, with a norm before or after each."""

    def __init__(self, width: int, heads: int, knobs: dict[str, Any]) -> None:
        super().__init__()
        self.all, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        eps = knobs.get("eps", 1e-5)
        self.one, self.two = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self._heads, self._knobs = heads, knobs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (rows, positions, width)."""
        if self._knobs.get("post_norm"):
            x = self.one(x + self._attend(x))
            return self.two(x + self._dense(x))
        x = x + self._attend(self.one(x))
        return x + self._dense(self.two(x))

    def _dense(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self._knobs.get("act", F.gelu)(self.up(x)))

    def _attend(self, x: torch.Tensor) -> torch.Tensor:
        rows, places, width = x.shape
        parts = self.all(x).view(rows, places, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        causal = self._knobs.get("causal", True)
        if self._knobs.get("fused"):
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
        else:
            scale = self._knobs.get("scale", math.sqrt(width // self._heads))
            scores = query @ key.transpose(-2, -1) / scale
            if causal:
                ahead = torch.ones(places, places, dtype=torch.bool).triu(1)
                scores = scores.masked_fill(ahead, -math.inf)
            mixed = scores.softmax(-1) @ value
        return self.out(mixed.transpose(1, 2).reshape(rows, places, width))


class Decoder(nn.Module):
    """A causal language model written by hand."""

    def __init__(self, *, depth: int = 2, heads: int = 4, tied: bool = True, **knobs: Any) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(40, 16), nn.Embedding(64, 16)
        self.blocks = nn.ModuleList(Block(16, heads, knobs) for _ in range(depth))
        self.norm = nn.LayerNorm(16, knobs.get("eps", 1e-5))
        self.head = nn.Linear(16, 40, bias=False)
        self._gain = knobs.get("gain", 1.0)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return (rows, positions, words)."""
        x = self.words(ids) * self._gain + self.places(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
