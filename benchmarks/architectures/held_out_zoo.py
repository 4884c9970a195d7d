"""Five other families, and edits of them, on which nothing was tuned."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it


_LONG = 16  # positions


class Series(nn.Module):
    """Causal dilated convolutions with weight norm: a temporal convolutional network."""

    def __init__(self, *, dilation: int = 2, causal: bool = True, residual: bool = True,
                 act: Any = F.relu, drop: float = 0.2, pairs: bool = False) -> None:  # fmt: skip
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.one = norm(nn.Conv1d(4, 8, 3))
        self.two = norm(nn.Conv1d(8, 8, 3, dilation=dilation))
        self.skip, self.head = nn.Conv1d(4, 8, 1), nn.Linear(8, 2)
        self._causal, self._residual, self._act, self._drop = causal, residual, act, drop
        self._pairs = pairs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (rows, 2)."""
        h = F.dropout(self._act(self.one(self._padded(x, 2))), self._drop, self.training)
        h = self._act(self.two(self._padded(h, 2 * self.two.dilation[0])))
        if self._residual:
            h = h + (self._by_pairs(x) if self._pairs else self.skip(x))
        return self.head(h[..., -1])

    def _padded(self, x: torch.Tensor, places: int) -> torch.Tensor:
        return F.pad(x, (places, 0) if self._causal else (places // 2, places - places // 2))

    def _by_pairs(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bct,oc->bot", x, self.skip.weight[..., 0]) + self.skip.bias[:, None]


class Gated(nn.Module):
    """Numbers through a GRU, pooled and normalised."""

    def __init__(self, *, pool: str = "last", act: Any = F.relu, long: bool = False,
                 start: float = 0.0, drop: float = 0.1, chunks: bool = False) -> None:  # fmt: skip
        super().__init__()
        self.gru = nn.GRU(5, 12, 2, batch_first=True, dropout=drop)
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 3)
        self._pool, self._act, self._long, self._start = pool, act, long, start
        self._chunks = chunks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (rows, 3)."""
        if self._long and x.shape[1] > _LONG:
            x = x[:, -_LONG:]
        first = torch.full((2, len(x), 12), self._start)
        if self._chunks:
            parts = []
            for piece in x.split(3, 1):
                out, first = self.gru(piece, first)
                parts.append(out)
            states = torch.cat(parts, 1)
        else:
            states, _ = self.gru(x, first)
        pooled = {"last": states[:, -1], "max": states.amax(1), "mean": states.mean(1)}[self._pool]
        return self.head(self._act(self.norm(pooled)))


class Encoder(nn.Module):
    """torch's own transformer encoder on numbers, with a table of positions as a buffer."""

    def __init__(self, *, before: bool = False, act: Any = "relu", eps: float = 1e-5,
                 base: float = 10000.0, heads: int = 2, drop: float = 0.1) -> None:  # fmt: skip
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            16, heads, 32, drop, act, eps, batch_first=True, norm_first=before
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        angles = torch.arange(64)[:, None] / base ** (torch.arange(8) / 8)
        self.register_buffer("places", torch.cat([angles.sin(), angles.cos()], -1))
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor, hidden: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return logits (rows, 4) and the states."""
        states = self.layers(x + self.places[: x.shape[1]], src_key_padding_mask=hidden)
        return {"logits": self.head(states[:, 0]), "states": states}


class Graph(nn.Module):
    """Two rounds of messages along a list of edges."""

    def __init__(self, *, mean: bool = True, own: bool = True, back: bool = False,
                 act: Any = F.relu, temperature: float = 1.0, dense: bool = False
                 ) -> None:  # fmt: skip
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self._mean, self._own, self._back, self._act = mean, own, back, act
        self._temperature, self._dense = temperature, dense

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """Return (nodes, 3) of log-probabilities."""
        h = self._act(self._round(self.one(x), edges))
        h = self._act(self._round(self.two(h), edges))
        return (self.head(h) / self._temperature).log_softmax(-1)

    def _round(self, h: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        source, target = edges.flip(0) if self._back else edges
        if self._dense:
            links = torch.zeros(len(h), len(h)).index_put(
                (target, source), torch.ones(len(source)), accumulate=True
            )
            total, count = links @ h, links.sum(1)
        else:
            total = torch.zeros_like(h).index_add(0, target, h[source])
            count = torch.zeros(len(h)).index_add(0, target, torch.ones(len(target)))
        if self._mean:
            total = total / count.clamp(min=1)[:, None]
        return total + h if self._own else total


class Coder(nn.Module):
    """An autoencoder of images with group norm and a skip connection."""

    def __init__(self, *, groups: int = 2, mode: str = "nearest", last: Any = torch.sigmoid,
                 swapped: bool = False, skip: bool = True, act: Any = F.silu, drop: float = 0.1,
                 by_hand: bool = False) -> None:  # fmt: skip
        super().__init__()
        self.down, self.mid = nn.Conv2d(1, 6, 4, 2, 1), nn.Conv2d(6, 6, 3, padding=1)
        self.norm, self.drop = nn.GroupNorm(groups, 6), nn.Dropout2d(drop)
        self.up = nn.Conv2d(12, 1, 3, padding=1)
        self._mode, self._last, self._swapped, self._skip = mode, last, swapped, skip
        self._act, self._by_hand, self._groups = act, by_hand, groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the image again."""
        low = self._act(self.down(x))
        h = self._act(self._normed(self.mid(self.drop(low))))
        both = (low if self._skip else torch.zeros_like(low), h)
        joined = torch.cat(both[::-1] if self._swapped else both, 1)
        return self._last(self.up(F.interpolate(joined, scale_factor=2, mode=self._mode)))

    def _normed(self, h: torch.Tensor) -> torch.Tensor:
        if not self._by_hand:
            return self.norm(h)
        parts = h.reshape(len(h), self._groups, -1)
        spread = (parts.var(-1, correction=0, keepdim=True) + self.norm.eps).sqrt()
        plain = ((parts - parts.mean(-1, keepdim=True)) / spread).reshape(h.shape)
        return plain * self.norm.weight[:, None, None] + self.norm.bias[:, None, None]
