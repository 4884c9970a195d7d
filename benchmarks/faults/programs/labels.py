"""Bugs of labels: what they are paired with, and whether they are used."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, cnn, images, mlp, numbers, points, sequences, trained
from torch import Tensor, nn
from torch.nn import functional


if TYPE_CHECKING:
    from torchproof import Trainee


@case(26, "MLP", "sample-pairing", quick=True)
def inputs_shuffled_without_labels(*, right: bool) -> Trainee:
    """The permutation reaches the inputs only."""
    model = mlp()

    def loss(batch: Batch) -> Tensor:
        order = torch.randperm(len(batch["x"]))
        x, y = batch["x"][order], batch["y"]
        if right:
            y = y[order]  # right
        return functional.cross_entropy(model(x), y)

    return trained(model, points(), loss)


@case(26, "CNN", "sample-pairing")
def flipped_batch(*, right: bool) -> Trainee:
    """An augmentation flips the batch dimension instead of the width."""
    model = cnn()

    def loss(batch: Batch) -> Tensor:
        if right:
            x = batch["x"].flip(3)  # right
        else:
            x = batch["x"].flip(0)  # wrong
        return functional.cross_entropy(model(x), batch["y"])

    def predict(batch: Batch) -> Tensor:
        model.eval()
        with torch.no_grad():
            logits = model(batch["x"].flip(3))
        model.train()
        return logits

    return trained(model, images(), loss, predict=predict)


@case(27, "regression", "sample-pairing", quick=True)
def targets_rolled_by_one(*, right: bool) -> Trainee:
    """Each sample is compared with its neighbour's target."""
    model = mlp(outputs=1)

    def loss(batch: Batch) -> Tensor:
        if right:
            y = batch["y"]  # right
        else:
            y = batch["y"].roll(1)  # wrong
        return functional.mse_loss(model(batch["x"]).squeeze(1), y)

    return trained(model, numbers(), loss)


@case(28, "CNN", "labels-used", quick=True)
def target_from_the_prediction(*, right: bool) -> Trainee:
    """The model is trained on its own opinion."""
    model = cnn()

    def loss(batch: Batch) -> Tensor:
        logits = model(batch["x"])
        if right:
            return functional.cross_entropy(logits, batch["y"])  # right
        return functional.cross_entropy(logits, logits.argmax(1))  # wrong

    return trained(model, images(), loss)


@case(28, "LSTM", "labels-used")
def labels_overwritten(*, right: bool) -> Trainee:
    """A placeholder for unlabelled data replaces the labels of all."""
    rnn, head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 3)
    model = nn.ModuleList([rnn, head])

    def logits(batch: Batch) -> Tensor:
        return head(rnn(batch["x"])[0][:, -1])

    def loss(batch: Batch) -> Tensor:
        if right:
            labels = batch["y"]  # right
        else:
            labels = torch.zeros_like(batch["y"])  # wrong
        return functional.cross_entropy(logits(batch), labels)

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return logits(batch)

    return trained(model, sequences(), loss, predict=predict)


@case(29, "MLP", "overfit")
def labels_shifted_by_one_class(*, right: bool) -> Trainee:
    """Training counts classes from one and prediction from zero."""
    model = mlp(outputs=4)

    def loss(batch: Batch) -> Tensor:
        if right:
            labels = batch["y"]  # right
        else:
            labels = batch["y"] + 1  # wrong
        return functional.cross_entropy(model(batch["x"]), labels)

    return trained(model, points(), loss)


@case(29, "CNN", "class-ids", "overfit")
def prediction_takes_the_least(*, right: bool) -> Trainee:
    """``argmin`` where ``argmax`` was meant."""
    model = cnn()

    def predict(batch: Batch) -> Tensor:
        model.eval()
        with torch.no_grad():
            logits = model(batch["x"])
        model.train()
        if right:
            return logits.argmax(1)  # right
        return logits.argmin(1)  # wrong

    return trained(
        model,
        images(),
        lambda b: functional.cross_entropy(model(b["x"]), b["y"]),
        predict=predict,
    )
