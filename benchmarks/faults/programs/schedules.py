"""Bugs of clipping and learning-rate schedules: what comes at the wrong time."""

from __future__ import annotations

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, cnn, images, mlp, points, sequences
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from torchproof import Trainee


@case(65, "GRU", "event-order", quick=True)
def clip_after_the_step(*, right: bool) -> Trainee:
    """Gradients are clipped when they have already been used."""
    rnn, head = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 3)
    model = nn.ModuleList([rnn, head])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(head(rnn(batch["x"])[0][:, -1]), batch["y"])
        loss.backward()
        if right:
            clip_grad_norm_(model.parameters(), 1.0)  # right
        optimizer.step()
        if not right:
            clip_grad_norm_(model.parameters(), 1.0)  # wrong
        return loss

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return head(rnn(batch["x"])[0][:, -1])

    return Trainee(model, sequences(), step, predict=predict)


@case(65, "MLP", "event-order")
def clip_before_backward(*, right: bool) -> Trainee:
    """Clipping finds no gradients yet, so the update is never bounded."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        if not right:
            clip_grad_norm_(model.parameters(), 1.0)  # wrong
        loss.backward()
        if right:
            clip_grad_norm_(model.parameters(), 1.0)  # right
        optimizer.step()
        return loss

    return Trainee(model, points(), step)


@case(66, "CNN", "event-order")
def clip_before_unscale(*, right: bool) -> Trainee:
    """The scaled gradients are clipped, so the real ones become tiny."""
    model = cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        scaler.scale(loss).backward()
        if right:
            scaler.unscale_(optimizer)  # right
        clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        return loss

    return Trainee(model, images(), step)


@case(66, "MLP", "event-order")
def update_by_scaled_gradients(*, right: bool) -> Trainee:
    """The optimizer is asked itself, and nobody takes the loss scale back."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        scaler.scale(loss).backward()
        if right:
            scaler.step(optimizer)  # right
            scaler.update()  # right
        else:
            optimizer.step()  # wrong
        return loss

    return Trainee(model, points(), step)


@case(68, "MLP", "event-order")
def scheduler_before_optimizer(*, right: bool) -> Trainee:
    """The first learning rate of the schedule is skipped."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        if not right:
            scheduler.step()  # wrong
        optimizer.step()
        if right:
            scheduler.step()  # right
        return loss

    return Trainee(model, points(), step, scheduler=scheduler)


@case(69, "CNN", "event-order")
def scheduler_per_micro_batch(*, right: bool) -> Trainee:
    """With accumulation the schedule runs as often as micro-batches, not updates."""
    model = cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        total = torch.zeros(())
        for x, y in zip(batch["x"].chunk(2), batch["y"].chunk(2), strict=True):
            loss = functional.cross_entropy(model(x), y) / 2
            loss.backward()
            total += loss.detach()
            if not right:
                scheduler.step()  # wrong
        optimizer.step()
        if right:
            scheduler.step()  # right
        return total

    return Trainee(model, images(), step, scheduler=scheduler)
