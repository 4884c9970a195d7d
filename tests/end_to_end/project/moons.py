"""Two interleaved half circles, a small network that tells them apart, and its training step."""

import math

import torch


def load(count: int = 64):
    """Return points (N, 2) and labels (N,), the same ones at every call."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    angle = math.pi * torch.rand(count, generator=generator)
    upper = torch.stack([angle.cos(), angle.sin()], dim=1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], dim=1)
    return torch.where(labels[:, None] == 0, upper, lower), labels


def make_model():
    return torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))


def make_optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.02)


def training_step(model, optimizer, batch):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(batch["x"]), batch["y"])
    loss.backward()
    optimizer.step()
    return loss
