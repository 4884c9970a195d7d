"""Bugs that let the future into the past."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, tokens, trained
from torch import Tensor, nn
from torch.nn import functional


if TYPE_CHECKING:
    from torchproof import Trainee


def _next_token(model: nn.Module, batch: Batch) -> Tensor:
    """Return the loss of predicting each token from those before it."""
    logits = model(batch["input_ids"])
    return functional.cross_entropy(logits[:, :-1].transpose(1, 2), batch["labels"][:, 1:])


def _attended(x: Tensor, qkv: nn.Linear, allowed: Tensor) -> Tensor:
    """Return one head of attention where a query sees the keys that are allowed."""
    query, key, value = qkv(x).chunk(3, -1)
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    return scores.masked_fill(~allowed, float("-inf")).softmax(-1) @ value


class _Decoder(nn.Module):
    """One block of attention over an embedding; ``allowed`` (length, length) says who sees whom."""

    def __init__(self, allowed: Tensor) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(11, 8), nn.Embedding(7, 8)
        self.qkv, self.head = nn.Linear(8, 24), nn.Linear(8, 11)
        self.register_buffer("allowed", allowed)

    def forward(self, input_ids: Tensor) -> Tensor:
        x = self.embed(input_ids) + self.place(torch.arange(input_ids.shape[1]))
        return self.head(x + _attended(x, self.qkv, self.allowed))


@case(36, "decoder LM", "causality", quick=True)
def no_causal_mask(*, right: bool) -> Trainee:
    """A decoder that attends in both directions."""
    everywhere = torch.ones(7, 7, dtype=torch.bool)
    if right:
        model = _Decoder(everywhere.tril())  # right
    else:
        model = _Decoder(everywhere)  # wrong
    return trained(model, tokens(), lambda b: _next_token(model, b), target="labels")


@case(36, "GRU", "causality")
def bidirectional_language_model(*, right: bool) -> Trainee:
    """The backward direction reads the answer."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(11, 8)
            self.rnn = nn.GRU(8, 8, batch_first=True, bidirectional=not right)  # wrong: True
            self.head = nn.LazyLinear(11)

        def forward(self, input_ids: Tensor) -> Tensor:
            return self.head(self.rnn(self.embed(input_ids))[0])

    model = _Net()
    model(torch.zeros(1, 2, dtype=torch.long))
    return trained(model, tokens(), lambda b: _next_token(model, b), target="labels")


@case(37, "decoder LM", "causality", quick=True)
def causal_mask_off_by_one(*, right: bool) -> Trainee:
    """The mask lets each token see the next one."""
    everywhere = torch.ones(7, 7, dtype=torch.bool)
    if right:
        model = _Decoder(everywhere.tril())  # right
    else:
        model = _Decoder(everywhere.tril(1))  # wrong
    return trained(model, tokens(), lambda b: _next_token(model, b), target="labels")


@case(37, "CNN", "causality")
def convolution_padded_on_both_sides(*, right: bool) -> Trainee:
    """A causal convolution pads on the left only."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.conv, self.head = (
                nn.Embedding(11, 8),
                nn.Conv1d(8, 8, 3),
                nn.Linear(8, 11),
            )

        def forward(self, input_ids: Tensor) -> Tensor:
            x = self.embed(input_ids).transpose(1, 2)
            if right:
                x = functional.pad(x, (2, 0))  # right
            else:
                x = functional.pad(x, (1, 1))  # wrong
            return self.head(self.conv(x).relu().transpose(1, 2))

    model = _Net()
    return trained(model, tokens(), lambda b: _next_token(model, b), target="labels")


@case(38, "decoder LM", "causality")
def mean_of_the_whole_sequence(*, right: bool) -> Trainee:
    """A summary of the sequence includes its future."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 11)

        def forward(self, input_ids: Tensor) -> Tensor:
            x = self.embed(input_ids)
            if right:
                count = torch.arange(1, x.shape[1] + 1).unsqueeze(1)
                summary = x.cumsum(1) / count  # right
            else:
                summary = x.mean(1, keepdim=True)  # wrong
            return self.head(x + summary)

    model = _Net()
    return trained(model, tokens(), lambda b: _next_token(model, b), target="labels")


@case(38, "decoder LM", "causality")
def mixing_by_fourier_transform(*, right: bool) -> Trainee:
    """A filter applied in the frequency domain wraps the end around to the start."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 11)
            self.filter = nn.Parameter(torch.randn(7, 8) / 4)

        def forward(self, input_ids: Tensor) -> Tensor:
            x = self.embed(input_ids)
            length = x.shape[1]
            if right:
                size = 2 * length  # right
            else:
                size = length  # wrong
            spectrum = torch.fft.rfft(x, size, 1) * torch.fft.rfft(self.filter, size, 0)
            return self.head(x + torch.fft.irfft(spectrum, size, 1)[:, :length])

    model = _Net()
    return trained(model, tokens(), lambda b: _next_token(model, b), target="labels")


@case(39, "decoder LM", "causality")
def weak_mask_bias(*, right: bool) -> Trainee:
    """A finite bias leaves a little weight on the future."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.qkv, self.head = (
                nn.Embedding(11, 8),
                nn.Linear(8, 24),
                nn.Linear(8, 11),
            )

        def forward(self, input_ids: Tensor) -> Tensor:
            x = self.embed(input_ids)
            query, key, value = self.qkv(x).chunk(3, -1)
            scores = query @ key.transpose(1, 2) / 8**0.5
            future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
            if right:
                scores = scores.masked_fill(future, float("-inf"))  # right
            else:
                scores = scores - 4.0 * future  # wrong
            return self.head(x + scores.softmax(-1) @ value)

    model = _Net()
    return trained(model, tokens(), lambda b: _next_token(model, b), target="labels")


@case(38, "temporal CNN", "causality")
def normalised_over_all_times(*, right: bool) -> Trainee:
    """Group norm behind a causal convolution takes its statistics from the future, too."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Conv1d(2, 6, 3), nn.Conv1d(6, 2, 1)
            self.norm = nn.GroupNorm(2, 6)

        def forward(self, x: Tensor) -> Tensor:
            z = self.inner(functional.pad(x, (2, 0)))
            if not right:
                z = self.norm(z)  # wrong
            return self.head(z.relu())

    model = _Net()
    series = torch.randn(4, 2, 13)
    batch = {"x": series[..., :-1].clone(), "y": series[..., 1:].clone()}
    return trained(model, batch, lambda b: functional.mse_loss(model(b["x"]), b["y"]), causal=True)
