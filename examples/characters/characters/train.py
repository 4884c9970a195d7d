"""The training step, the loop around it, and what the model is judged by."""

import math

import torch
from torch.nn import functional as F


def make_optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=4e-3)


def training_step(model, optimizer, batch):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(batch["x"]).flatten(0, 1), batch["y"].flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss


def train(model, data, *, epochs=4, size=32):
    """Train in place; the order of the batches comes from the global generator."""
    optimizer = make_optimizer(model)
    for _ in range(epochs):
        for rows in torch.randperm(len(data)).split(size):
            training_step(model, optimizer, data[rows])


@torch.no_grad()
def predict(model, batch):
    """Return logits (N, T, symbols); the model is in training mode again afterwards if it was."""
    was_training = model.training
    logits = model.eval()(batch["x"])
    model.train(was_training)
    return logits


def bits(model, data):
    """Return the bits that the model needs for a symbol."""
    logits = predict(model, data)
    return F.cross_entropy(logits.flatten(0, 1), data["y"].flatten()).item() / math.log(2)
