"""Bugs of modules: what is not registered, not frozen, not different."""

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
    sequences,
    tokens,
    trained,
)
from torch import Tensor, nn
from torch.nn import functional

from torchproof import Trainee


@case(13, "Transformer encoder", "parameter-sets", quick=True)
def layers_in_a_list(*, right: bool) -> Trainee:
    """A Python list hides its layers from ``parameters()``."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers = [
                nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True) for _ in range(2)
            ]
            if right:
                self.layers = nn.ModuleList(layers)  # right
            else:
                self.layers = layers  # wrong
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(x)
            return self.head(x.mean(1))

    model = _Net()
    return trained(model, sequences(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(14, "regression", "parameter-sets")
def plain_tensor_as_weight(*, right: bool) -> Trainee:
    """A tensor that requires a gradient is not yet a parameter."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 4)
            weight = torch.randn(4) / 2
            if right:
                self.weight = nn.Parameter(weight)  # right
            else:
                self.weight = weight.requires_grad_()  # wrong

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(self.inner(x)) @ self.weight

    model = _Net()
    return trained(model, numbers(), lambda b: functional.mse_loss(model(b["x"]), b["y"]))


@case(15, "MLP", "repeated-module")
def same_block_repeated(*, right: bool) -> Trainee:
    """``[block] * 3`` is one block three times."""
    if right:
        blocks = [nn.Linear(8, 8) for _ in range(3)]  # right
    else:
        blocks = [nn.Linear(8, 8)] * 3  # wrong

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(6, 8), nn.Linear(8, 3)
            self.blocks = nn.ModuleList(blocks)

        def forward(self, x: Tensor) -> Tensor:
            x = self.inner(x)
            for block in self.blocks:
                x = x + torch.tanh(block(x))
            return self.head(x)

    model = _Net()
    return trained(model, points(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(16, "CNN", "stray-attributes", quick=True)
def requires_grad_misspelt(*, right: bool) -> Trainee:
    """A misspelt attribute freezes nothing."""
    model = cnn()
    for parameter in model[0].parameters():
        if right:
            parameter.requires_grad = False  # right
        else:
            parameter.require_grad = False  # wrong
    return trained(model, images(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(16, "Transformer encoder", "frozen-parameters")
def frozen_module_by_attribute(*, right: bool) -> Trainee:
    """A module has a method ``requires_grad_``; an attribute of that kind does nothing."""

    class _Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.encoder(x).mean(1))

    model = _Net()
    if right:
        model.encoder.requires_grad_(requires_grad=False)  # right
    else:
        model.encoder.requires_grad = False  # wrong
    return trained(
        model,
        sequences(),
        lambda b: functional.cross_entropy(model(b["x"]), b["y"]),
        frozen=("encoder.*",),
    )


@case(17, "CNN", "frozen-parameters", quick=True)
def frozen_batch_norm_moves(*, right: bool) -> Trainee:
    """Frozen layers whose batch norm goes on counting."""
    model = cnn()
    body = model[:5]
    body.requires_grad_(requires_grad=False)
    optimizer = torch.optim.Adam(model[-1].parameters(), lr=1e-2)

    def step(batch: Batch) -> Tensor:
        model.train()
        if right:
            body.eval()  # right
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, images(), step)


@case(17, "distillation", "frozen-parameters", "training-mode", "pure-prediction")
def teacher_trains_its_statistics(*, right: bool) -> Trainee:
    """The teacher is frozen and its batch norm follows the student's data."""
    teacher, student = cnn().requires_grad_(requires_grad=False), cnn()
    if right:
        teacher.eval()  # right
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)

    def step(batch: Batch) -> Tensor:
        with torch.no_grad():
            wanted = teacher(batch["x"]).softmax(1)
        optimizer.zero_grad()
        loss = functional.cross_entropy(student(batch["x"]), wanted)
        loss.backward()
        optimizer.step()
        return loss

    def predict(batch: Batch) -> Tensor:
        student.eval()
        with torch.no_grad():
            logits = student(batch["x"])
        student.train()
        return logits

    batch = {"x": torch.randn(6, 1, 8, 8)}
    models = {"student": student, "teacher": teacher}
    return Trainee(models, batch, step, predict=predict, target=None)


@case(18, "MLP", "identical-units", quick=True)
def constant_init(*, right: bool) -> Trainee:
    """Units that start equal stay equal."""
    model = mlp()
    for layer in (model[0], model[2]):
        if right:
            nn.init.xavier_uniform_(layer.weight)  # right
        else:
            nn.init.constant_(layer.weight, 0.1)  # wrong
        nn.init.zeros_(layer.bias)
    return trained(model, points(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))


@case(18, "RL value", "identical-units")
def orthogonal_forgotten_for_ones(*, right: bool) -> Trainee:
    """The critic's hidden layer is filled with one value."""
    model = mlp(4, 1)
    if right:
        nn.init.orthogonal_(model[0].weight)  # right
    else:
        nn.init.ones_(model[0].weight)  # wrong
    if not right:
        nn.init.zeros_(model[0].bias)  # wrong
        nn.init.ones_(model[2].weight)  # wrong

    def loss(batch: Batch) -> Tensor:
        value = model(batch["state"]).squeeze(1)
        with torch.no_grad():
            later = model(batch["next"]).squeeze(1)
        return functional.smooth_l1_loss(value, batch["reward"] + 0.9 * later)

    batch = {
        "state": torch.randn(8, 4),
        "next": torch.randn(8, 4),
        "reward": torch.randn(8),
    }
    return trained(model, batch, loss, target="reward")


@case(63, "decoder LM", "shared-memory")
def tied_by_data(*, right: bool) -> Trainee:
    """Two parameters in one memory: each has its own part of the gradient and its own momentum."""
    model = LanguageModel()
    if right:
        model.head.weight = model.embed.weight  # right
    else:
        model.head.weight.data = model.embed.weight.data  # wrong

    def loss(batch: Batch) -> Tensor:
        logits = model(batch["input_ids"])[:, :-1]
        return functional.cross_entropy(logits.transpose(1, 2), batch["labels"][:, 1:])

    return trained(model, tokens(), loss, target="labels")


@case(18, "low-rank adapter", "identical-units")
def both_factors_zero(*, right: bool) -> Trainee:
    """A product of two zeros has no gradient for either; one of them has to be drawn."""

    class _Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Linear(6, 3).requires_grad_(requires_grad=False)
            self.up = nn.Parameter(torch.zeros(2, 3))
            if right:
                self.down = nn.Parameter(torch.randn(6, 2))  # right
            else:
                self.down = nn.Parameter(torch.zeros(6, 2))  # wrong

        def forward(self, x: Tensor) -> Tensor:
            return self.base(x) + x @ self.down @ self.up

    model = _Adapted()
    return trained(model, points(), lambda b: functional.cross_entropy(model(b["x"]), b["y"]))
