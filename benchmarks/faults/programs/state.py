"""Bugs of saved state, ties, resuming, serving, precision and data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, cnn, images, mlp, numbers, points, tokens, trained
from torch import Tensor, nn
from torch.nn import functional


if TYPE_CHECKING:
    from collections.abc import Mapping

    from torchproof import Trainee


@case(61, "regression", "checkpoint-round-trip", quick=True)
def statistics_not_in_the_checkpoint(*, right: bool) -> Trainee:
    """A plain attribute is not part of ``state_dict``."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = mlp(outputs=1)
            if right:
                self.register_buffer("centre", torch.zeros(6))  # right
            else:
                self.centre = torch.zeros(6)  # wrong

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                self.centre = 0.9 * self.centre + 0.1 * x.detach().mean(0)
            return self.layers(x - self.centre).squeeze(1)

    model = _Net()
    return trained(model, numbers(), lambda b: functional.mse_loss(model(b["x"]), b["y"]))


@case(61, "diffusion", "checkpoint-round-trip", "repeated-randomness")
def random_features_not_saved(*, right: bool) -> Trainee:
    """Random Fourier features are drawn anew in each process."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = mlp(8 + 6, 6)
            waves = torch.randn(4)
            if right:
                self.register_buffer("waves", waves)  # right
            else:
                self.waves = waves  # wrong

        def forward(self, noisy: Tensor, time: Tensor) -> Tensor:
            angles = time * self.waves
            return self.layers(torch.cat([noisy, angles.sin(), angles.cos()], 1))

    model = _Net()

    def loss(batch: Batch) -> Tensor:
        time, noise = torch.rand(len(batch["x"]), 1), torch.randn_like(batch["x"])
        return functional.mse_loss(model((1 - time) * batch["x"] + time * noise, time), noise)

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return model(batch["x"], torch.ones(len(batch["x"]), 1))

    return trained(model, {"x": torch.randn(8, 6)}, loss, predict=predict, target=None)


@case(62, "MLP", "serving-parity", quick=True)
def served_with_another_activation(*, right: bool) -> Trainee:
    """The service builds the network with ReLU; the keys fit, the numbers do not."""

    def build(activation: type[nn.Module]) -> nn.Sequential:
        return nn.Sequential(nn.Linear(6, 16), activation(), nn.Linear(16, 3))

    def serve() -> nn.Module:
        if right:
            return build(nn.LeakyReLU)  # right
        return build(nn.ReLU)  # wrong

    model = build(nn.LeakyReLU)
    return trained(
        model,
        points(),
        lambda b: functional.cross_entropy(model(b["x"]), b["y"]),
        serve=serve,
    )


@case(62, "Transformer encoder", "serving-parity")
def served_with_norm_first(*, right: bool) -> Trainee:
    """Pre-norm and post-norm layers have the same keys."""

    class _Net(nn.Module):
        def __init__(self, *, norm_first: bool) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoderLayer(
                4, 2, 8, dropout=0.0, batch_first=True, norm_first=norm_first
            )
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.encoder(x).mean(1))

    def serve() -> nn.Module:
        if right:
            return _Net(norm_first=True)  # right
        return _Net(norm_first=False)  # wrong

    model = _Net(norm_first=True)
    batch = {"x": torch.randn(6, 5, 4), "y": torch.arange(6) % 3}
    return trained(
        model, batch, lambda b: functional.cross_entropy(model(b["x"]), b["y"]), serve=serve
    )


@case(63, "decoder LM", "checkpoint-round-trip", "serving-parity")
def tie_lost_in_the_service(*, right: bool) -> Trainee:
    """A checkpoint that holds shared weights once is loaded where they are not shared."""

    class _Net(nn.Module):
        def __init__(self, *, tied: bool) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 11, bias=False)
            self.rnn = nn.GRU(8, 8, batch_first=True)
            if tied:
                self.head.weight = self.embed.weight

        def forward(self, input_ids: Tensor) -> Tensor:
            return self.head(self.rnn(self.embed(input_ids))[0])

        def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:
            state = super().state_dict(*args, **options)
            del state["head.weight"]
            return state

        def load_state_dict(self, state: Mapping[str, Any], **_: Any) -> Any:
            return super().load_state_dict(state, strict=False)

    def serve() -> nn.Module:
        if right:
            return _Net(tied=True)  # right
        return _Net(tied=False)  # wrong

    model = _Net(tied=True)

    def loss(batch: Batch) -> Tensor:
        logits = model(batch["input_ids"])[:, :-1]
        return functional.cross_entropy(logits.transpose(1, 2), batch["labels"][:, 1:])

    return trained(model, tokens(), loss, target="labels", serve=serve)


@case(64, "MLP", "resume")
def average_not_saved(*, right: bool) -> Trainee:
    """The step keeps its own running average outside of every ``state_dict``."""

    class _Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = mlp()
            level = torch.ones(())
            self.register_buffer("level", level, persistent=right)  # wrong: False

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x)

    model = _Scale()

    def loss(batch: Batch) -> Tensor:
        value = functional.cross_entropy(model(batch["x"]), batch["y"])
        model.level.mul_(0.9).add_(0.1 * value.detach())
        return value / model.level.clone()

    return trained(model, points(), loss)


@case(82, "decoder LM")
def rotary_frequencies_in_bfloat16(*, right: bool) -> Trainee:
    """``model.to(bfloat16)`` also rounds the frequencies of the positions."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 11)
            self.register_buffer("slowness", 10000 ** (-torch.arange(4) / 4))

        def forward(self, input_ids: Tensor) -> Tensor:
            angles = torch.arange(input_ids.shape[1])[:, None] * self.slowness
            real, imaginary = self.embed(input_ids).chunk(2, -1)
            cosine, sine = angles.cos(), angles.sin()
            turned = [real * cosine - imaginary * sine, real * sine + imaginary * cosine]
            return self.head(torch.cat(turned, -1).cumsum(1))

    model = _Net()
    if not right:
        model.slowness = model.slowness.bfloat16()  # wrong

    def loss(batch: Batch) -> Tensor:
        logits = model(batch["input_ids"])[:, :-1]
        return functional.cross_entropy(logits.transpose(1, 2).float(), batch["labels"][:, 1:])

    return trained(model, tokens(), loss, target="labels")


@case(85, "CNN", "rows-predicted")
def evaluation_drops_the_last_batch(*, right: bool) -> Trainee:
    """Prediction goes in batches and leaves the remainder out."""
    model = cnn()

    def predict(batch: Batch) -> Tensor:
        model.eval()
        with torch.no_grad():
            parts = [model(part) for part in batch["x"].split(4)]
        model.train()
        if not right:
            parts = [part for part in parts if len(part) == len(parts[0])]  # wrong
        return torch.cat(parts)

    return trained(
        model,
        images(),
        lambda b: functional.cross_entropy(model(b["x"]), b["y"]),
        predict=predict,
    )


@case(86, "MLP", "input-parity", "pure-prediction")
def augmentation_at_prediction(*, right: bool) -> Trainee:
    """The noise that augments training is added at prediction too."""
    model = mlp()

    def noisy(x: Tensor) -> Tensor:
        return x + 0.1 * torch.randn_like(x)

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            if right:
                return model(batch["x"])  # right
            return model(noisy(batch["x"]))  # wrong

    return trained(
        model,
        points(),
        lambda b: functional.cross_entropy(model(noisy(b["x"])), b["y"]),
        predict=predict,
    )
