"""Bugs of training and evaluation mode."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, cnn, dropout_mlp, images, points, sequences, trained
from torch import Tensor, nn
from torch.nn import functional


if TYPE_CHECKING:
    from torchproof import Trainee


@case(48, "MLP", "pure-prediction", quick=True)
def functional_dropout_always_on(*, right: bool) -> Trainee:
    """``functional.dropout`` does not know the module's mode."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.first(x).relu()
            if right:
                hidden = functional.dropout(hidden, 0.5, training=self.training)  # right
            else:
                hidden = functional.dropout(hidden, 0.5)  # wrong
            return self.second(hidden)

    model = _Net()
    return trained(model, points(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(49, "Transformer encoder", "pure-prediction")
def attention_dropout_in_evaluation(*, right: bool) -> Trainee:
    """``scaled_dot_product_attention`` drops whatever the mode is."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.head, self.rate = nn.Linear(4, 12), nn.Linear(4, 3), 0.3

        def forward(self, x: Tensor) -> Tensor:
            query, key, value = self.qkv(x).chunk(3, -1)
            if right:
                rate = self.rate if self.training else 0.0  # right
            else:
                rate = self.rate  # wrong
            mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=rate)
            return self.head(mixed.mean(1))

    model = _Net()
    return trained(model, sequences(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(50, "MLP", "pure-prediction", quick=True)
def prediction_with_dropout(*, right: bool) -> Trainee:
    """``eval()`` is forgotten before prediction."""
    model = dropout_mlp()

    def predict(batch: Batch) -> Tensor:
        if right:
            model.eval()  # right
        with torch.no_grad():
            logits = model(batch["x"])
        model.train()
        return logits

    return trained(
        model,
        points(),
        lambda b: functional.cross_entropy(model(b["x"]), b["y"]),
        predict=predict,
    )


@case(51, "CNN", "pure-prediction", "evaluation-is-a-no-op", "batch-independence", quick=True)
def batch_norm_learns_from_validation(*, right: bool) -> Trainee:
    """Validation in training mode moves the running statistics."""
    model = cnn()

    def predict(batch: Batch) -> Tensor:
        if right:
            model.eval()  # right
        with torch.no_grad():
            logits = model(batch["x"])
        model.train()
        return logits

    return trained(
        model,
        images(),
        lambda b: functional.cross_entropy(model(b["x"]), b["y"]),
        predict=predict,
    )


@case(52, "CNN", "evaluation-is-a-no-op", "training-mode", "pure-prediction", quick=True)
def training_mode_not_restored(*, right: bool) -> Trainee:
    """After the first validation the model trains in evaluation mode."""
    model = cnn()

    def predict(batch: Batch) -> Tensor:
        model.eval()
        with torch.no_grad():
            logits = model(batch["x"])
        if right:
            model.train()  # right
        return logits

    return trained(
        model,
        images(),
        lambda b: functional.cross_entropy(model(b["x"]), b["y"]),
        predict=predict,
    )


@case(53, "MLP", "evaluation-is-a-no-op", "training-mode", "pure-prediction")
def dropout_off_for_ever(*, right: bool) -> Trainee:
    """Evaluation sets the dropout rate to zero and nobody sets it back."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.rate = nn.Linear(6, 16), nn.Linear(16, 3), 0.5

        def forward(self, x: Tensor) -> Tensor:
            if right:
                rate = self.rate if self.training else 0.0  # right
            else:
                self.rate = rate = self.rate if self.training else 0.0  # wrong
            return self.second(functional.dropout(self.first(x).relu(), rate))

    model = _Net()
    return trained(model, points(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(54, "CNN", "training-mode", quick=True)
def trained_in_evaluation_mode(*, right: bool) -> Trainee:
    """The step itself puts the model into evaluation mode."""
    model = cnn()

    def loss(batch: Batch) -> Tensor:
        if right:
            model.train()  # right
        else:
            model.eval()  # wrong
        return functional.cross_entropy(model(batch["x"]), batch["y"])

    return trained(model, images(), loss)
