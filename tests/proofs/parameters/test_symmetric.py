"""Parameters of any layer whose units are copies of one, seen by the rule `identical-units`."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "identical-units"


class Matrices(nn.Module):
    """Two layers written out, each weight of the shape (inputs, units)."""

    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = nn.Parameter(first), nn.Parameter(second)
        self.bias = nn.Parameter(torch.zeros(6))

    def forward(self, x):
        return torch.tanh(x @ self.first + self.bias) @ self.second  # here


def matrices(first, second):
    return lambda: zoo.classifier(Matrices(first(), second()), zoo.classes(4))


def test_columns_that_began_as_one_constant(caught):
    build = matrices(lambda: torch.full((4, 6), 0.1), lambda: torch.full((6, 3), 0.1))
    finding, line = caught(RULE, build)
    assert finding.message.startswith("All units of first")
    assert finding.evidence["units of the first"] == 6
    assert line.endswith("# here")


@pytest.mark.parametrize(
    "build",
    [
        matrices(lambda: torch.randn(4, 6), lambda: torch.randn(6, 3)),
        matrices(lambda: torch.full((4, 6), 0.1), lambda: torch.randn(6, 3)),
        matrices(lambda: torch.randn(4, 6), lambda: torch.zeros(6, 3)),
    ],
    ids=["both drawn", "second drawn", "second zero"],
)
def test_one_drawn_matrix_parts_the_units(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


class Factors(nn.Module):
    def __init__(self, start):
        super().__init__()
        self.users, self.items = nn.Embedding(5, 4), nn.Embedding(7, 4)
        self.bias = nn.Embedding(5, 1)
        nn.init.zeros_(self.bias.weight)
        for each in (self.users, self.items):
            start(each.weight)

    def forward(self, pairs):
        user, item = pairs.unbind(1)
        return (self.users(user) * self.items(item)).sum(1) + self.bias(user).squeeze(1)


def factors(start):
    def build():
        batch = {"x": torch.randint(0, 5, (12, 2)), "y": torch.randn(12)}
        return regression(Factors(start), batch)

    return build


def regression(model, batch):
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def step(batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return torchproof.Trainee(model=model, batch=batch, step=step)


def test_factors_that_began_as_one_constant(caught):
    finding, _ = caught(RULE, factors(lambda weight: nn.init.constant_(weight, 0.1)))
    assert "users.weight, items.weight" in finding.message


def test_factors_that_were_drawn_are_silent():
    assert not torchproof.prove(factors(nn.init.normal_), rules=[RULE]).findings


class Mixture(nn.Module):
    def __init__(self, means):
        super().__init__()
        self.means, self.scales = nn.Parameter(means), nn.Parameter(torch.zeros_like(means))

    def forward(self, x):
        apart = (x[:, None] - self.means) / self.scales.exp()
        return torch.logsumexp(-apart.pow(2).sum(2) / 2 - self.scales.sum(1), 1)


def mixture(means):
    return lambda: regression(Mixture(means()), zoo.numbers(2))


def test_components_of_a_mixture_that_began_as_one(caught):
    finding, _ = caught(RULE, mixture(lambda: torch.zeros(4, 2)))
    assert "means, scales" in finding.message


def test_components_with_means_of_their_own_are_silent():
    assert not torchproof.prove(mixture(lambda: torch.randn(4, 2)), rules=[RULE]).findings


class Positions(nn.Module):
    """Position embeddings that start at 0, are added and averaged: equal whatever they hold."""

    def __init__(self):
        super().__init__()
        self.position, self.head = nn.Parameter(torch.zeros(5, 4)), nn.Linear(4, 3)

    def forward(self, x):
        return self.head((x + self.position).mean(1))


class Channels(nn.Module):
    """A grey image given as three equal channels to a weight of one constant for all of them."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, 1, 4).expand(3, 1, 4).clone())
        self.head = nn.Linear(1, 3)

    def forward(self, x):
        return self.head(torch.tanh(torch.einsum("bi,coi->bo", x, self.weight)))


class Gates(nn.Module):
    """One gate of 1 for each feature of each position."""

    def __init__(self):
        super().__init__()
        self.gate, self.head = nn.Parameter(torch.ones(5, 4)), nn.Linear(4, 3)

    def forward(self, x):
        return self.head((x * self.gate).mean(1))


class Queries(nn.Module):
    """Queries that start at 0, each read by weights of its own."""

    def __init__(self):
        super().__init__()
        self.queries, self.head = nn.Parameter(torch.zeros(2, 4)), nn.Linear(8, 3)

    def forward(self, x):
        weights = (self.queries @ x.transpose(1, 2)).softmax(-1)
        return self.head((weights @ x).flatten(1))


@pytest.mark.parametrize(
    ("model", "shape"),
    [(Positions, (5, 4)), (Channels, (4,)), (Gates, (5, 4)), (Queries, (5, 4))],
)
def test_a_constant_start_by_design_is_silent(model, shape):
    build = lambda: zoo.classifier(model(), zoo.classes(*shape))  # noqa: E731 - one line to read
    assert not torchproof.prove(build, rules=[RULE]).findings
