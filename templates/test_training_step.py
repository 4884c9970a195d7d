"""The training step, proven: put your own model, batch and step in place of these."""

import torch
import torchproof
from torch import nn
from torch.nn import functional as F


def build():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batch = {"x": torch.randn(32, 8), "y": torch.randint(3, (32,))}

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return torchproof.Trainee(model=model, batch=batch, step=step)


def test_training_step(proof):
    proof(build)
