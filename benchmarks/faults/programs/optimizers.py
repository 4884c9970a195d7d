"""Bugs of optimizers: what they hold, how far and which way they go."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, cnn, images, mlp, numbers, points, sequences
from torch import Tensor, nn
from torch.nn import functional

from torchproof import Trainee


@case(5, "CNN", "parameter-sets", quick=True)
def head_replaced_after_the_optimizer(*, right: bool) -> Trainee:
    """Fine-tuning replaces the head that the optimizer was built with."""
    model = cnn(outputs=10)
    if right:
        model[-1] = nn.Linear(16, 3)  # right
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    if not right:
        model[-1] = nn.Linear(16, 3)  # wrong

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, images(), step)


@case(6, "LSTM", "parameter-sets")
def optimizer_of_the_head_only(*, right: bool) -> Trainee:
    """The recurrent part was meant to train and the optimizer never got it."""
    parts = nn.ModuleDict({"rnn": nn.LSTM(4, 8, batch_first=True), "head": nn.Linear(8, 3)})
    if right:
        optimizer = torch.optim.Adam(parts.parameters(), lr=1e-2)  # right
    else:
        optimizer = torch.optim.Adam(parts["head"].parameters(), lr=1e-2)  # wrong

    def logits(batch: Batch) -> Tensor:
        return parts["head"](parts["rnn"](batch["x"])[0][:, -1])

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(logits(batch), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return logits(batch)

    return Trainee(parts, sequences(), step, predict=predict)


@case(7, "autoencoder", "parameter-sets")
def optimizer_of_a_stale_model(*, right: bool) -> Trainee:
    """The model is built a second time, after the optimizer."""
    model = mlp(6, 6, width=4)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    if not right:
        model = mlp(6, 6, width=4)  # wrong

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.mse_loss(model(batch["x"]), batch["x"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, {"x": torch.randn(8, 6)}, step, target=None)


@case(8, "MLP", "parameter-sets")
def name_filter_drops_biases(*, right: bool) -> Trainee:
    """A filter by name that was meant for weight decay decides what trains at all."""
    model = mlp()
    weights = [value for name, value in model.named_parameters() if "weight" in name]
    biases = [value for name, value in model.named_parameters() if "bias" in name]
    groups = [{"params": weights, "weight_decay": 0.01}]
    if right:
        groups.append({"params": biases, "weight_decay": 0.0})  # right
    optimizer = torch.optim.AdamW(groups, lr=1e-2)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, points(), step)


@case(70, "MLP", "lost-update")
def learning_rate_zero(*, right: bool) -> Trainee:
    """An integer division made the learning rate zero."""
    model = mlp()
    epochs = 10
    if right:
        rate = 1 / epochs  # right
    else:
        rate = 1 // epochs  # wrong
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, points(), step)


@case(70, "regression", "lost-update")
def update_lost_in_bfloat16(*, right: bool) -> Trainee:
    """Pure bfloat16 weights are too coarse for the small update."""
    model = mlp(outputs=1)
    if not right:
        model = model.to(torch.bfloat16)  # wrong
    kind = next(model.parameters()).dtype
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.mse_loss(model(batch["x"].to(kind)).squeeze(1), batch["y"].to(kind))
        loss.backward()
        optimizer.step()
        return loss

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return model(batch["x"].to(kind))

    return Trainee(model, numbers(), step, predict=predict)


@case(71, "MLP", "uphill-update", quick=True)
def loss_negated(*, right: bool) -> Trainee:
    """A sign left over from a log-likelihood."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        if right:
            loss.backward()  # right
        else:
            (-loss).backward()  # wrong
        optimizer.step()
        return loss

    return Trainee(model, points(), step)


@case(71, "RL policy", "uphill-update")
def policy_maximised_twice(*, right: bool) -> Trainee:
    """The loss has its minus sign and the optimizer maximises it."""
    model = mlp(4, 2)
    if right:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)  # right
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, maximize=True)  # wrong

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        chosen = torch.distributions.Categorical(logits=model(batch["state"]))
        loss = -(chosen.log_prob(batch["action"]) * batch["advantage"]).mean()
        loss.backward()
        optimizer.step()
        return loss

    batch = {
        "state": torch.randn(8, 4),
        "action": torch.arange(8) % 2,
        "advantage": torch.randn(8),
    }
    return Trainee(model, batch, step, target="action")


@case(81, "MLP")
def learning_rate_ten_times(*, right: bool) -> Trainee:
    """A zero too few in the learning rate."""
    model = mlp()
    if right:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)  # right
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)  # wrong

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, points(), step)
