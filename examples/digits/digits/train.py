"""The training step, the loop around it, and prediction."""

import torch
from torch.nn import functional as F

from digits.data import Split, batches
from digits.model import DigitNet


def make_optimizer(model: DigitNet) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def training_step(model: DigitNet, optimizer: torch.optim.Optimizer, batch) -> torch.Tensor:
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(batch["x"]), batch["y"])
    loss.backward()
    optimizer.step()
    return loss


@torch.no_grad()
def predict(model: DigitNet, batch) -> torch.Tensor:
    """Return logits (N, 10); the model is in training mode again afterwards if it was."""
    was_training = model.training
    model.eval()
    logits = model(batch["x"])
    model.train(was_training)
    return logits


def train(model: DigitNet, split: Split, *, epochs: int) -> None:
    """Train in place, the rows in an order that follows torch's seed."""
    optimizer = make_optimizer(model)
    for _ in range(epochs):
        for batch in batches(split, 64):
            training_step(model, optimizer, batch)


def accuracy(model: DigitNet, split: Split) -> float:
    logits = predict(model, {"x": split.images})
    return (logits.argmax(1) == split.labels).float().mean().item()


def loss(model: DigitNet, split: Split) -> float:
    return F.cross_entropy(predict(model, {"x": split.images}), split.labels).item()
