"""Bugs of an evaluation: rows that count too much, noise, and what it leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, cnn, images, mlp, numbers, points, trained
from torch import Tensor, nn
from torch.nn import functional


if TYPE_CHECKING:
    from torchproof import Trainee


@case(85, "regression", "evaluation-mean")
def mean_of_unequal_means(*, right: bool) -> Trainee:
    """Rows of a smaller last part count more than the others."""
    model = mlp(outputs=1)

    def loss(batch: Batch, reduction: str = "mean") -> Tensor:
        prediction = model(batch["x"]).squeeze(1)
        return functional.mse_loss(prediction, batch["y"], reduction=reduction)

    def evaluate(batch: Batch) -> float:
        parts = zip(batch["x"].split(3), batch["y"].split(3), strict=True)
        batches = [{"x": x, "y": y} for x, y in parts]
        with torch.no_grad():
            if right:
                return sum(loss(each, "sum").item() for each in batches) / len(batch["y"])  # right
            return sum(loss(each).item() for each in batches) / len(batches)  # wrong

    return trained(model, numbers(), loss, evaluate=evaluate)


@case(55, "autoencoder", "pure-prediction", "repeated-randomness")
def evaluation_sets_the_seed(*, right: bool) -> Trainee:
    """Comparable noise for every evaluation is bought by the same noise in training."""
    model = nn.Sequential(nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 6))

    def loss(batch: Batch, noise: Tensor) -> Tensor:
        return functional.mse_loss(model(batch["x"] + 0.1 * noise), batch["x"])

    def evaluate(batch: Batch) -> Tensor:
        generator = None
        if right:
            generator = torch.Generator().manual_seed(0)  # right
        else:
            torch.manual_seed(0)  # wrong
        with torch.no_grad():
            return loss(batch, torch.randn(batch["x"].shape, generator=generator))

    return trained(
        model,
        {"x": torch.randn(8, 6)},
        lambda batch: loss(batch, torch.randn_like(batch["x"])),
        evaluate=evaluate,
        target=None,
    )


@case(86, "CNN", "pure-prediction")
def augmentation_in_the_evaluation(*, right: bool) -> Trainee:
    """The images of the validation set are jittered like those of training."""
    model = cnn()

    def jittered(x: Tensor) -> Tensor:
        return x + 0.1 * torch.randn_like(x)

    def evaluate(batch: Batch) -> Tensor:
        model.eval()
        x = batch["x"]
        if not right:
            x = jittered(x)  # wrong
        with torch.no_grad():
            value = functional.cross_entropy(model(x), batch["y"])
        model.train()
        return value

    def loss(batch: Batch) -> Tensor:
        return functional.cross_entropy(model(jittered(batch["x"])), batch["y"])

    return trained(model, images(), loss, evaluate=evaluate)


@case(48, "Residual network", "pure-prediction")
def paths_always_dropped(*, right: bool) -> Trainee:
    """Stochastic depth that is written out and does not ask for the mode."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            branch = self.body(x).relu()
            if right and not self.training:
                return self.head(x + branch)  # right
            kept = x.new_empty(len(x), 1).bernoulli_(0.8)
            return self.head(x + branch * kept / 0.8)

    model = _Net()
    return trained(model, points(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))
