"""Data, small models and the plain training step that programs share where they are not the bug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import torchproof


if TYPE_CHECKING:
    from collections.abc import Callable

Batch = dict[str, torch.Tensor]


def points(rows: int = 8, features: int = 6, classes: int = 3) -> Batch:
    """Feature vectors ``x`` (rows, features) and class labels ``y`` (rows)."""
    return {"x": torch.randn(rows, features), "y": torch.arange(rows) % classes}


def numbers(rows: int = 8, features: int = 6) -> Batch:
    """Feature vectors ``x`` (rows, features) and real targets ``y`` (rows)."""
    x = torch.randn(rows, features)
    return {"x": x, "y": x[:, 0] - 2 * x[:, 1]}


def images(rows: int = 6, classes: int = 3, side: int = 8) -> Batch:
    """Images ``x`` (rows, 1, side, side) and class labels ``y`` (rows)."""
    return {"x": torch.randn(rows, 1, side, side), "y": torch.arange(rows) % classes}


def sequences(rows: int = 6, length: int = 5, features: int = 4, classes: int = 3) -> Batch:
    """Sequences ``x`` (rows, length, features) and class labels ``y`` (rows)."""
    return {"x": torch.randn(rows, length, features), "y": torch.arange(rows) % classes}


def tokens(rows: int = 4, length: int = 7, vocabulary: int = 11) -> Batch:
    """Token ids ``input_ids`` (rows, length) that are their own ``labels``."""
    ids = torch.randint(2, vocabulary, (rows, length))
    return {"input_ids": ids, "labels": ids.clone()}


def mlp(inputs: int = 6, outputs: int = 3, width: int = 16) -> nn.Sequential:
    """Two layers."""
    return nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, outputs))


def dropout_mlp() -> nn.Sequential:
    """Two layers with dropout in between; takes points."""
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))


def cnn(outputs: int = 3) -> nn.Sequential:
    """Convolution, batch norm, pooling, linear; takes images of one channel."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, outputs),
    )


class LanguageModel(nn.Module):
    """A causal language model: embedding, GRU, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 8), nn.Linear(8, 11)
        self.rnn = nn.GRU(8, 8, batch_first=True)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return logits (rows, length, vocabulary)."""
        return self.head(self.rnn(self.embed(input_ids))[0])


def trained(
    model: nn.Module, batch: Batch, loss: Callable[[Batch], torch.Tensor], **more: Any
) -> torchproof.Trainee:
    """Train ``model`` by Adam on ``loss(batch)``; ``more`` goes to ``Trainee``."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(batch: Batch) -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(batch)
        value.backward()
        optimizer.step()
        return value.detach()

    return torchproof.Trainee(model, batch, step, **more)
