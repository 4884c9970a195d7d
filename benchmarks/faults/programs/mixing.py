"""Bugs that mix the samples of a batch."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, images, mlp, points, sequences, trained
from torch import Tensor, nn
from torch.nn import functional


if TYPE_CHECKING:
    from torchproof import Trainee


@case(33, "LSTM", "batch-independence", quick=True)
def time_and_batch_swapped_by_view(*, right: bool) -> Trainee:
    """``view`` exchanges the sizes of two dimensions, not the dimensions."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            rows, length, features = x.shape
            if right:
                x = x.transpose(0, 1)  # right
            else:
                x = x.reshape(length, rows, features)  # wrong
            return self.head(self.rnn(x)[0][-1])

    model = _Net()
    return trained(model, sequences(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(33, "CNN", "batch-independence")
def patches_across_images(*, right: bool) -> Trainee:
    """The patches are folded back with batch and channel exchanged."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 4, 4, stride=4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            patches = self.conv(x).flatten(2)
            rows, channels, count = patches.shape
            if right:
                features = patches.transpose(1, 2)  # right
            else:
                features = patches.permute(2, 0, 1).reshape(rows, count, channels)  # wrong
            return self.head(features.tanh().mean(1))

    model = _Net()
    return trained(model, images(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(34, "GRU", "batch-independence", quick=True)
def batch_first_forgotten(*, right: bool) -> Trainee:
    """The recurrent layer walks over the samples."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if right:
                self.rnn = nn.GRU(4, 8, batch_first=True)  # right
            else:
                self.rnn = nn.GRU(4, 8)  # wrong
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0][:, -1])

    model = _Net()
    return trained(model, sequences(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(34, "Transformer encoder", "batch-independence")
def encoder_without_batch_first(*, right: bool) -> Trainee:
    """Attention runs between the samples."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoderLayer(
                4,
                2,
                8,
                dropout=0.0,
                batch_first=right,  # wrong: False
            )
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.encoder(x).mean(1))

    model = _Net()
    return trained(model, sequences(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(35, "MLP", "batch-independence", quick=True)
def centred_by_the_batch(*, right: bool) -> Trainee:
    """A home-made norm uses the batch's mean in evaluation too."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.first(x)
            if right:
                hidden = hidden - hidden.mean(1, keepdim=True)  # right
            else:
                hidden = hidden - hidden.mean(0)  # wrong
            return self.second(hidden.tanh())

    model = _Net()
    return trained(model, points(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(35, "CNN", "batch-independence")
def norm_without_running_statistics(*, right: bool) -> Trainee:
    """Without running statistics batch norm uses the batch at inference."""
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4, track_running_stats=right),  # wrong: False
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 3),
    )
    return trained(model, images(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(35, "siamese", "batch-independence")
def distances_scaled_by_the_batch(*, right: bool) -> Trainee:
    """A distance is divided by the greatest one of the batch."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = mlp(6, 4)

        def forward(self, left: Tensor, other: Tensor) -> Tensor:
            distance = (self.embed(left) - self.embed(other)).square().sum(1)
            if right:
                return distance / 4  # right
            return distance / distance.max()  # wrong

    model = _Net()

    def loss(batch: Batch) -> Tensor:
        distance = model(batch["x"], batch["other"])
        return torch.where(batch["y"] == 1, distance, functional.relu(1 - distance)).mean()

    batch = {"x": torch.randn(8, 6), "other": torch.randn(8, 6), "y": torch.arange(8) % 2}
    return trained(model, batch, loss)
