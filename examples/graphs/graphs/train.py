"""The training step, the loop around it, and what the model is judged by."""

import torch
from torch.nn import functional as F


def make_optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def training_step(model, optimizer, batch):
    model.train()
    optimizer.zero_grad()
    logits = model(batch["x"], batch["edges"])
    loss = F.cross_entropy(logits.flatten(0, 1), batch["y"].flatten())
    loss.backward()
    optimizer.step()
    return loss


def train(model, data, *, epochs=15, size=64):
    """Train in place; the order of the batches comes from the global generator."""
    optimizer = make_optimizer(model)
    for _ in range(epochs):
        for rows in torch.randperm(len(data)).split(size):
            training_step(model, optimizer, data[rows])


@torch.no_grad()
def predict(model, batch):
    """Return logits (N, nodes, 2); the model is in training mode again afterwards if it was."""
    was_training = model.training
    logits = model.eval()(batch["x"], batch["edges"])
    model.train(was_training)
    return logits


def accuracy(model, data):
    return (predict(model, data).argmax(-1) == data["y"]).float().mean().item()
