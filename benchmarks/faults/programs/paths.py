"""Bugs of a second way through the model: compiled, or going on from a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, numbers, points, tokens, trained
from torch import Tensor, nn
from torch.nn import functional


if TYPE_CHECKING:
    from torchproof import Trainee

_Cache = tuple[Tensor, Tensor]


@case(83, "MLP", "compile-parity")
def temperature_lost_in_compilation(*, right: bool) -> Trainee:
    """A shortcut for compiled code leaves the temperature out."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(6, 16), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            logits = self.head(self.body(x).tanh())
            if not right and torch.compiler.is_compiling():
                return logits  # wrong
            return logits / 0.7

    model = torch.compile(_Net(), backend="eager")
    return trained(model, points(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(83, "regression", "compile-parity")
def norm_lost_in_compilation(*, right: bool) -> Trainee:
    """What the step calls is compiled, and skips a norm then; the trainee's model is not."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.norm, self.head = nn.Linear(6, 16), nn.LayerNorm(16), nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.body(x)
            if not right and torch.compiler.is_compiling():
                return self.head(hidden.tanh()).squeeze(1)  # wrong
            return self.head(self.norm(hidden).tanh()).squeeze(1)

    model = _Net()
    fast = torch.compile(model, backend="eager")
    return trained(model, numbers(), lambda b: functional.mse_loss(fast(b["x"]), b["y"]))


@case(84, "decoder LM", "cache-parity", quick=True)
def positions_start_again_behind_the_cache(*, right: bool) -> Trainee:
    """Every token that is generated gets the position of the first."""

    class _Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.place = nn.Embedding(11, 8), nn.Embedding(16, 8)
            self.project, self.head = nn.Linear(8, 24), nn.Linear(8, 11)

        def forward(self, ids: Tensor, cache: _Cache | None = None) -> tuple[Tensor, _Cache]:
            past = cache[0].shape[1] if cache else 0
            if right:
                places = torch.arange(past, past + ids.shape[1])  # right
            else:
                places = torch.arange(ids.shape[1])  # wrong
            x = self.embed(ids) + self.place(places)
            query, key, value = self.project(x).chunk(3, -1)
            if cache:
                key, value = torch.cat([cache[0], key], 1), torch.cat([cache[1], value], 1)
            seen = torch.ones(ids.shape[1], key.shape[1], dtype=torch.bool).tril(past)
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
            return self.head(x + mixed), (key, value)

    model = _Decoder()

    def loss(batch: Batch) -> Tensor:
        logits, _ = model(batch["input_ids"])
        return functional.cross_entropy(logits[:, :-1].transpose(1, 2), batch["labels"][:, 1:])

    return trained(model, tokens(), loss, target="labels")


@case(84, "decoder LM", "cache-parity")
def cache_keeps_the_newest_only(*, right: bool) -> Trainee:
    """The running sum of a linear-attention decoder is replaced, not continued."""

    class _Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 11)
            self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, ids: Tensor, cache: Tensor | None = None) -> tuple[Tensor, Tensor]:
            x = self.embed(ids)
            sums = (self.key(x).sigmoid() * self.value(x)).cumsum(1)
            if right and cache is not None:
                sums = sums + cache  # right
            return self.head(x + sums), sums[:, -1:]

    model = _Decoder()

    def loss(batch: Batch) -> Tensor:
        logits, _ = model(batch["input_ids"])
        return functional.cross_entropy(logits[:, :-1].transpose(1, 2), batch["labels"][:, 1:])

    return trained(model, tokens(), loss, target="labels")
