"""Bugs of half precision: angles of positions and times that it rounds before their sine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, tokens, trained
from torch import Tensor, nn
from torch.nn import functional


if TYPE_CHECKING:
    from collections.abc import Callable

    from torchproof import Trainee

    Angles = Callable[[int], Tensor]

HALF = torch.bfloat16


class _Rotary(nn.Module):
    """A causal language model: words turned by their position's angles, summed, linear."""

    def __init__(self, angles: Optional[Angles] = None) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 32), nn.Linear(32, 11)
        self.register_buffer("slowness", 10000 ** (-torch.arange(16) / 16), persistent=False)
        self.angles = angles or self.plain_angles

    def plain_angles(self, length: int) -> Tensor:
        """Return the angle of each position (rows) and frequency (columns)."""
        return torch.arange(length)[:, None] * self.slowness

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return logits (rows, length, vocabulary)."""
        real, imaginary = self.embed(input_ids).chunk(2, -1)
        angles = self.angles(input_ids.shape[1])
        cosine, sine = angles.cos().to(real.dtype), angles.sin().to(real.dtype)
        turned = [real * cosine - imaginary * sine, real * sine + imaginary * cosine]
        return self.head(torch.cat(turned, -1).cumsum(1))


def _next_token(model: nn.Module, batch: Batch) -> Tensor:
    logits, labels = model(batch["input_ids"])[:, :-1].float(), batch["labels"][:, 1:]
    return functional.cross_entropy(logits.transpose(1, 2), labels)


@case(82, "decoder LM", "rounded-angles", quick=True)
def rotary_frequencies_cast_with_the_weights(*, right: bool) -> Trainee:
    """``model.to(bfloat16)`` casts the buffer of frequencies too."""
    model = _Rotary()
    slowness = model.slowness
    model.to(HALF)
    if right:
        model.slowness = slowness  # right
    return trained(model, tokens(length=64), lambda b: _next_token(model, b), target="labels")


@case(82, "decoder LM", "rounded-angles", quick=True)
def rotary_angles_multiplied_under_autocast(*, right: bool) -> Trainee:
    """Autocast runs matrix products in bfloat16, that of positions and frequencies as well."""

    def angles(length: int) -> Tensor:
        positions, slowness = torch.arange(length).float()[:, None], model.slowness[None]
        if right:
            with torch.autocast("cpu", enabled=False):  # right
                return positions @ slowness  # right
        return positions @ slowness  # wrong

    model = _Rotary(angles)

    def loss(batch: Batch) -> Tensor:
        with torch.autocast("cpu", dtype=HALF):
            return _next_token(model, batch)

    return trained(model, tokens(length=64), loss, target="labels")


@case(82, "decoder LM", "rounded-angles")
def positions_counted_in_bfloat16(*, right: bool) -> Trainee:
    """Above 256, bfloat16 has no odd numbers."""

    def angles(length: int) -> Tensor:
        if right:
            positions = torch.arange(length)  # right
        else:
            positions = torch.arange(length, dtype=model.head.weight.dtype)  # wrong
        return positions[:, None] * 10000 ** (-torch.arange(16) / 16)

    model = _Rotary(angles).to(HALF)
    batch = tokens(rows=2, length=300)
    return trained(model, batch, lambda b: _next_token(model, b), target="labels")


@case(82, "diffusion", "rounded-angles")
def times_cast_before_their_embedding(*, right: bool) -> Trainee:
    """The steps of the diffusion, 0 to 999, are cast with the noisy images."""

    class _Denoiser(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(6 + 16, 16), nn.Tanh(), nn.Linear(16, 6))

        def forward(self, noisy: Tensor, time: Tensor) -> Tensor:
            if not right:
                time = time.to(noisy.dtype)  # wrong
            angles = time[:, None] * 10000 ** (-torch.arange(8) / 8)
            waves = torch.cat([angles.sin(), angles.cos()], 1).to(noisy.dtype)
            return self.layers(torch.cat([noisy, waves], 1))

    model = _Denoiser().to(HALF)

    def loss(batch: Batch) -> Tensor:
        noise = torch.randn_like(batch["x"])
        guess = model((batch["x"] + noise).to(HALF), batch["time"])
        return functional.mse_loss(guess.float(), noise)

    times = torch.tensor([3, 141, 277, 403, 555, 618, 801, 999])
    return trained(model, {"x": torch.randn(8, 6), "time": times}, loss, target=None)
