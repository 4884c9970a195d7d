"""Bugs of the loss: what it is given, and what broadcasting makes of it."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, cnn, images, mlp, numbers, points, sequences, trained
from torch import Tensor, nn
from torch.nn import functional

from torchproof import Trainee


@case(19, "CNN", "loss-input", quick=True)
def softmax_before_cross_entropy(*, right: bool) -> Trainee:
    """``cross_entropy`` takes logits and gets probabilities."""
    model = cnn()
    if not right:
        model.append(nn.Softmax(1))  # wrong
    return trained(model, images(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(19, "LSTM", "loss-input")
def sigmoid_before_cross_entropy(*, right: bool) -> Trainee:
    """A sigmoid left over from the two-class version."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            logits = self.head(self.rnn(x)[0][:, -1])
            if right:
                return logits  # right
            return torch.sigmoid(logits)  # wrong

    model = _Net()
    return trained(model, sequences(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(20, "multi-label", "loss-input", quick=True)
def sigmoid_before_bce_with_logits(*, right: bool) -> Trainee:
    """The loss applies the sigmoid itself."""
    model = mlp(outputs=4)

    def loss(batch: Batch) -> Tensor:
        logits = model(batch["x"])
        if not right:
            logits = logits.sigmoid()  # wrong
        return functional.binary_cross_entropy_with_logits(logits, batch["y"])

    batch = {"x": torch.randn(8, 6), "y": torch.randint(0, 2, (8, 4)).float()}
    return trained(model, batch, loss)


@case(20, "GAN", "loss-input")
def discriminator_with_two_sigmoids(*, right: bool) -> Trainee:
    """The critic ends in a sigmoid and its loss adds another one."""
    generator, critic = mlp(4, 6), mlp(6, 1)
    if not right:
        critic.append(nn.Sigmoid())  # wrong
    for_generator = torch.optim.Adam(generator.parameters(), lr=1e-3)
    for_critic = torch.optim.Adam(critic.parameters(), lr=1e-3)
    judged = functional.binary_cross_entropy_with_logits

    def step(batch: Batch) -> Tensor:
        fake = generator(batch["noise"])
        for_critic.zero_grad()
        real, false = critic(batch["x"]), critic(fake.detach())
        told = judged(real, torch.ones_like(real)) + judged(false, torch.zeros_like(false))
        told.backward()
        for_critic.step()
        for_generator.zero_grad()
        seen = critic(fake)
        deceived = judged(seen, torch.ones_like(seen))
        deceived.backward()
        for_generator.step()
        return deceived.detach()

    batch = {"x": torch.randn(8, 6), "noise": torch.randn(8, 4)}
    return Trainee({"generator": generator, "critic": critic}, batch, step, target=None)


@case(21, "MLP", "loss-input", quick=True)
def nll_loss_on_logits(*, right: bool) -> Trainee:
    """``nll_loss`` takes log-probabilities."""
    model = mlp()

    def loss(batch: Batch) -> Tensor:
        if right:
            scores = functional.log_softmax(model(batch["x"]), 1)  # right
        else:
            scores = model(batch["x"])  # wrong
        return functional.nll_loss(scores, batch["y"])

    return trained(model, points(), loss)


@case(21, "graph net", "loss-input")
def nll_loss_on_probabilities(*, right: bool) -> Trainee:
    """``nll_loss`` of probabilities has a minimum elsewhere."""
    first, second = nn.Linear(3, 8), nn.Linear(8, 2)
    model = nn.ModuleList([first, second])

    def logits(batch: Batch) -> Tensor:
        heard = torch.relu(batch["edges"] @ first(batch["nodes"]))
        return second(heard.mean(1))

    def loss(batch: Batch) -> Tensor:
        if right:
            scores = logits(batch).log_softmax(1)  # right
        else:
            scores = logits(batch).softmax(1)  # wrong
        return functional.nll_loss(scores, batch["y"])

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return logits(batch)

    edges = torch.randint(0, 2, (6, 5, 5)).float()
    batch = {"nodes": torch.randn(6, 5, 3), "edges": edges, "y": torch.arange(6) % 2}
    return trained(model, batch, loss, predict=predict)


@case(22, "distillation", "loss-input", quick=True)
def kl_div_on_probabilities(*, right: bool) -> Trainee:
    """The first argument of ``kl_div`` is a logarithm."""
    teacher, student = mlp().requires_grad_(requires_grad=False), mlp()
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)

    def step(batch: Batch) -> Tensor:
        wanted = teacher(batch["x"]).softmax(1)
        optimizer.zero_grad()
        if right:
            given = student(batch["x"]).log_softmax(1)  # right
        else:
            given = student(batch["x"]).softmax(1)  # wrong
        loss = functional.kl_div(given, wanted, reduction="batchmean")
        loss.backward()
        optimizer.step()
        return loss

    def predict(batch: Batch) -> Tensor:
        with torch.no_grad():
            return student(batch["x"])

    models = {"student": student, "teacher": teacher}
    return Trainee(models, {"x": torch.randn(8, 6)}, step, predict=predict, target=None)


@case(23, "MLP", "batch-independence", "loss-input", quick=True)
def softmax_over_the_batch(*, right: bool) -> Trainee:
    """Probabilities that sum to one over samples instead of classes."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = mlp()

        def forward(self, x: Tensor) -> Tensor:
            if right:
                return self.layers(x).softmax(1)  # right
            return self.layers(x).softmax(0)  # wrong

    model = _Net()
    return trained(
        model, points(), lambda b: functional.nll_loss(torch.log(model(b["x"]) + 1e-9), b["y"])
    )


@case(23, "Transformer encoder", "batch-independence")
def attention_over_the_batch(*, right: bool) -> Trainee:
    """Attention weights are normalised over the wrong axis."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.head = nn.Linear(4, 12), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            query, key, value = self.qkv(x).chunk(3, -1)
            scores = query @ key.transpose(1, 2) / 2
            if right:
                weights = scores.softmax(-1)  # right
            else:
                weights = scores.softmax(0)  # wrong
            return self.head((x + weights @ value).mean(1))

    model = _Net()
    return trained(model, sequences(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(24, "regression", "implicit-broadcast", quick=True)
def column_minus_row(*, right: bool) -> Trainee:
    """(N, 1) minus (N,) is (N, N)."""
    model = mlp(outputs=1)

    def loss(batch: Batch) -> Tensor:
        prediction = model(batch["x"])
        if right:
            prediction = prediction.squeeze(1)  # right
        return ((prediction - batch["y"]) ** 2).mean()

    return trained(model, numbers(), loss)


@case(24, "RL value", "implicit-broadcast")
def advantage_of_all_pairs(*, right: bool) -> Trainee:
    """The critic's column meets a row of returns."""
    critic = mlp(4, 1)

    def loss(batch: Batch) -> Tensor:
        if right:
            advantage = batch["returns"] - critic(batch["state"]).squeeze(-1)  # right
        else:
            advantage = batch["returns"] - critic(batch["state"])  # wrong
        return advantage.pow(2).mean()

    batch = {"state": torch.randn(8, 4), "returns": torch.randn(8)}
    return trained(critic, batch, loss, target="returns")


@case(25, "CNN", "implicit-broadcast", "torch-warnings")
def mse_loss_of_column_and_row(*, right: bool) -> Trainee:
    """``mse_loss`` broadcasts too, and only warns."""
    model = cnn(outputs=1)

    def loss(batch: Batch) -> Tensor:
        if right:
            return functional.mse_loss(model(batch["x"]).flatten(), batch["y"])  # right
        return functional.mse_loss(model(batch["x"]), batch["y"])  # wrong

    return trained(model, {"x": torch.randn(6, 1, 8, 8), "y": torch.randn(6)}, loss)


@case(25, "regression", "implicit-broadcast")
def sample_weights_broadcast(*, right: bool) -> Trainee:
    """A row of sample weights multiplies a column of losses."""
    model = mlp(outputs=1)

    def loss(batch: Batch) -> Tensor:
        each = (model(batch["x"]) - batch["y"].unsqueeze(1)).abs()
        if right:
            return (each.squeeze(1) * batch["weight"]).mean()  # right
        return (each * batch["weight"]).mean()  # wrong

    return trained(model, {**numbers(), "weight": torch.rand(8)}, loss)


@case(25, "multi-label", "implicit-broadcast")
def cross_entropy_by_hand_broadcast(*, right: bool) -> Trainee:
    """Binary cross-entropy written out, with a column against a row."""
    model = mlp(outputs=1)

    def loss(batch: Batch) -> Tensor:
        chance = model(batch["x"]).sigmoid()
        if right:
            y = batch["y"].unsqueeze(1)  # right
        else:
            y = batch["y"]  # wrong
        return -(y * chance.log() + (1 - y) * (1 - chance).log()).mean()

    return trained(model, {"x": torch.randn(8, 6), "y": torch.randint(0, 2, (8,)).float()}, loss)
