"""Bugs of gradients: kept too long, cleared too early, not finite, of the wrong size."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import (
    Batch,
    LanguageModel,
    cnn,
    images,
    mlp,
    numbers,
    points,
    tokens,
    trained,
)
from torch import Tensor, nn
from torch.nn import functional

from torchproof import Trainee


@case(1, "MLP", "stale-gradients", quick=True)
def missing_zero_grad(*, right: bool) -> Trainee:
    """Gradients of all batches add up because nobody clears them."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Batch) -> Tensor:
        if right:
            optimizer.zero_grad()  # right
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, points(), step)


@case(1, "GAN", "stale-gradients")
def gan_discriminator_keeps_gradients(*, right: bool) -> Trainee:
    """The generator's backward pass leaves gradients in the discriminator."""
    generator, critic = mlp(4, 6), mlp(6, 1)
    for_generator = torch.optim.Adam(generator.parameters(), lr=1e-3)
    for_critic = torch.optim.Adam(critic.parameters(), lr=1e-3)

    def step(batch: Batch) -> Tensor:
        fake = generator(batch["noise"])
        for_generator.zero_grad()
        deceived = functional.softplus(-critic(fake)).mean()
        deceived.backward()
        for_generator.step()
        if right:
            for_critic.zero_grad()  # right
        told = functional.softplus(critic(fake.detach())) + functional.softplus(-critic(batch["x"]))
        told.mean().backward()
        for_critic.step()
        return deceived.detach()

    batch = {"x": torch.randn(8, 6), "noise": torch.randn(8, 4)}
    return Trainee({"generator": generator, "critic": critic}, batch, step, target=None)


@case(2, "CNN", "stale-gradients")
def zero_grad_of_the_head_only(*, right: bool) -> Trainee:
    """Only the last layer's gradients are cleared."""
    model = cnn()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(batch: Batch) -> Tensor:
        if right:
            optimizer.zero_grad()  # right
        else:
            model[-1].zero_grad()  # wrong
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, images(), step)


@case(3, "MLP", "missing-update", quick=True)
def missing_optimizer_step(*, right: bool) -> Trainee:
    """The gradients are computed and never used."""
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        if right:
            optimizer.step()  # right
        return loss

    return Trainee(model, points(), step, optimizer=optimizer)


@case(4, "regression", "missing-update", "parameter-sets")
def missing_backward(*, right: bool) -> Trainee:
    """The optimizer steps without any gradient."""
    model = mlp(outputs=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        loss = functional.mse_loss(model(batch["x"]).squeeze(1), batch["y"])
        if right:
            loss.backward()  # right
        optimizer.step()
        return loss

    return Trainee(model, numbers(), step)


@case(67, "MLP", "event-order", "missing-update", quick=True)
def zero_grad_after_backward(*, right: bool) -> Trainee:
    """The gradients are cleared between backward and step."""
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(batch: Batch) -> Tensor:
        if right:
            optimizer.zero_grad()  # right
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        if not right:
            optimizer.zero_grad()  # wrong
        optimizer.step()
        return loss

    return Trainee(model, points(), step)


@case(67, "regression", "event-order", "missing-update", "stale-gradients")
def step_before_backward(*, right: bool) -> Trainee:
    """Each update uses the gradients of the batch before."""
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def step(batch: Batch) -> Tensor:
        loss = functional.mse_loss(model(batch["x"]).squeeze(1), batch["y"])
        if right:
            optimizer.zero_grad()
            loss.backward()  # right
            optimizer.step()
        else:
            optimizer.step()
            optimizer.zero_grad()
            loss.backward()  # wrong
        return loss

    return Trainee(model, numbers(), step)


@case(72, "siamese", "finite-gradients", quick=True)
def distance_with_an_infinite_slope(*, right: bool) -> Trainee:
    """``sqrt`` has no finite slope at zero, and an anchor is its own positive."""
    model = mlp(6, 4)

    def loss(batch: Batch) -> Tensor:
        square = (model(batch["x"]) - model(batch["other"])).square().sum(1)
        if right:
            distance = (square + 1e-12).sqrt()  # right
        else:
            distance = square.sqrt()  # wrong
        far = functional.relu(1 - distance).square()
        return torch.where(batch["y"] == 1, distance.square(), far).mean()

    x = torch.randn(8, 6)
    other = torch.cat([x[:1], torch.randn(7, 6)])
    return trained(model, {"x": x, "other": other, "y": torch.arange(1, 9) % 2}, loss)


@case(72, "regression", "finite-gradients")
def masked_logarithm(*, right: bool) -> Trainee:
    """``where`` hides the infinite value and its gradient is still NaN."""
    model = nn.Linear(4, 1, bias=False)

    def loss(batch: Batch) -> Tensor:
        rate = model(batch["x"]).squeeze(1).square()
        if right:
            logs = torch.log(rate + 1e-6)  # right
        else:
            logs = torch.where(rate > 0, torch.log(rate), torch.zeros(()))  # wrong
        return (rate - batch["y"] * logs).mean()

    x = torch.randn(8, 4)
    x[0] = 0
    return trained(model, {"x": x, "y": torch.rand(8)}, loss)


@case(79, "MLP", "accumulation-parity")
def accumulation_not_divided(*, right: bool) -> Trainee:
    """Accumulated micro-batches make a gradient that is k times too large."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        total = torch.zeros(())
        for x, y in zip(batch["x"].chunk(4), batch["y"].chunk(4), strict=True):
            loss = functional.cross_entropy(model(x), y)
            if right:
                (loss / 4).backward()  # right
            else:
                loss.backward()  # wrong
            total += loss.detach() / 4
        optimizer.step()
        return total

    return Trainee(model, points(), step)


@case(79, "decoder LM", "accumulation-parity")
def labels_averaged_in_each_part(*, right: bool) -> Trainee:
    """A token of a micro-batch with few tokens counts more than one of a full micro-batch."""
    model = LanguageModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = tokens()
    batch["labels"][:1, 3:] = -100

    def step(batch: Batch) -> Tensor:
        optimizer.zero_grad()
        labels = batch["labels"][:, 1:]
        total = torch.zeros(())
        for ids, asked in zip(batch["input_ids"].chunk(2), labels.chunk(2), strict=True):
            logits = model(ids)[:, :-1].transpose(1, 2)
            if right:
                loss = functional.cross_entropy(logits, asked, reduction="sum")  # right
                loss = loss / labels.ge(0).sum()  # right
            else:
                loss = functional.cross_entropy(logits, asked) / 2  # wrong
            loss.backward()
            total += loss.detach()
        optimizer.step()
        return total

    return Trainee(model, batch, step, target="labels")


@case(80, "regression")
def sum_instead_of_mean(*, right: bool) -> Trainee:
    """The loss grows with the batch, and with it the learning rate in effect."""
    model = mlp(outputs=1)

    def loss(batch: Batch) -> Tensor:
        if right:
            reduction = "mean"  # right
        else:
            reduction = "sum"  # wrong
        prediction = model(batch["x"]).squeeze(1)
        return functional.mse_loss(prediction, batch["y"], reduction=reduction)

    return trained(model, numbers(), loss)
