"""Bugs of the class `attention-axis`; the marked line is where it shows."""

from functools import partial

import pytest
import tokens
import torch
import zoo
from torch import nn

import torchproof


RULE = "attention-axis"
ROWS, LENGTH, SIZE, HEADS = zoo.ROWS, 5, 8, 2


class Net(nn.Module):
    """A part that mixes the places of a sequence, between two linear layers."""

    def __init__(self, mix, length=LENGTH):
        super().__init__()
        self.into, self.mix = nn.Linear(4, SIZE), mix
        self.head = nn.LazyLinear(3)
        self(torch.zeros(2, length, 4))

    def forward(self, x):
        return self.head(self.mix(torch.tanh(self.into(x))).flatten(1))


def built(part, length=LENGTH):
    return lambda: zoo.classifier(Net(part(), length), zoo.classes(length, 4))


class Attention(nn.Module):
    """Attention of several heads, written in one of two ways; ``axis`` is that of its softmax."""

    def __init__(self, axis, *, written="einsum"):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(SIZE, SIZE) for _ in range(3))
        self.axis, self.written, self.dropout = axis, written, nn.Dropout(0.1)

    def forward(self, x):
        heads = (each(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for each in self.layers)
        query, key, value = heads
        if self.written == "einsum":
            scores = torch.einsum("bhqd,bhkd->bhqk", query, key) / 2
            weights = self.dropout(scores.softmax(self.axis))
            return torch.einsum("bhqk,bhkd->bqhd", weights, value).flatten(2)  # here
        scores = (query @ key.transpose(-1, -2) / 2).masked_fill(self.hidden(x), -torch.inf)
        weights = self.dropout(torch.softmax(scores, self.axis))
        return (weights @ value).transpose(1, 2).flatten(2)  # here

    @staticmethod
    def hidden(x):
        return ~torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()


@pytest.mark.parametrize("written", ["einsum", "matmul"])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_softmax_over_the_rows_or_the_heads(caught, axis, written):
    finding, line = caught(RULE, built(partial(Attention, axis, written=written)))
    assert finding.evidence["weights that add up to 1"] == (ROWS if axis == 0 else HEADS)
    assert line.endswith("# here")
    assert "softmax(-1)" in finding.remedy


def test_a_softmax_over_the_queries(caught):
    finding, _ = caught(RULE, built(partial(Attention, -2)))
    assert "do not add up to 1 over the axis that is summed up here" in finding.message


class Pooled(nn.Module):
    """A weighted mean of all places; ``axis`` is that of the softmax of the scores."""

    def __init__(self, axis, arrange):
        super().__init__()
        self.score, self.axis, self.arrange = nn.Linear(SIZE, 1), axis, arrange

    def forward(self, x):
        return self.arrange(self.score(x).softmax(self.axis), x)


def multiplied(weights, x):
    return (weights * x).sum(1)


def of_matrices(weights, x):
    return weights.transpose(1, 2) @ x


def squeezed(weights, x):
    return torch.einsum("bt,btd->bd", weights.squeeze(2), x)


@pytest.mark.parametrize("arrange", [multiplied, of_matrices, squeezed])
def test_a_softmax_over_one_score_each(caught, arrange):
    finding, _ = caught(RULE, built(partial(Pooled, -1, arrange)))
    assert "each weight is 1" in finding.message


class Slots(nn.Module):
    """Slots that compete for places; each takes the mean of what it won."""

    def __init__(self, *, mean):
        super().__init__()
        self.slots = nn.Parameter(torch.randn(3, SIZE))
        self.layers, self.mean = nn.ModuleList(nn.Linear(SIZE, SIZE) for _ in range(3)), mean

    def forward(self, x):
        query, key, value = self.layers[0](self.slots), self.layers[1](x), self.layers[2](x)
        weights = (query @ key.transpose(1, 2)).softmax(1)
        weights = weights / weights.sum(-1, keepdim=True) if self.mean else weights
        return weights @ value


class Capsules(nn.Module):
    """Routing by agreement: each lower capsule divides itself among the higher ones."""

    def __init__(self):
        super().__init__()
        self.vote = nn.Linear(SIZE, 3 * 4)

    def forward(self, x):
        votes = self.vote(x).unflatten(2, (3, 4)).transpose(1, 2)
        means = votes.mean(2, keepdim=True)
        shares = (means @ votes.transpose(2, 3)).softmax(1)
        return shares @ votes


class KeysFirst(nn.Module):
    """Scores whose rows are keys, and weights that are turned round before the product."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(SIZE, 3 * SIZE)

    def forward(self, x):
        query, key, value = self.layer(x).chunk(3, 2)
        return (key @ query.transpose(1, 2)).softmax(1).mT @ value


class Images(nn.Module):
    """Attention between the places of a map, as in SAGAN: values times weights."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(SIZE, SIZE, 1) for _ in range(3))

    def forward(self, x):
        query, key, value = (each(x.transpose(1, 2)) for each in self.layers)
        return value @ (query.transpose(1, 2) @ key).softmax(-1).transpose(1, 2)


class Channels(nn.Module):
    """Attention between features instead of places."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(SIZE, 3 * SIZE)

    def forward(self, x):
        query, key, value = (each.transpose(1, 2) for each in self.layer(x).chunk(3, 2))
        return (query @ key.transpose(1, 2)).softmax(-1) @ value


class Linear(nn.Module):
    """Attention whose queries and keys are normalised themselves."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(SIZE, 3 * SIZE)

    def forward(self, x):
        query, key, value = self.layer(x).chunk(3, 2)
        return query.softmax(-1) @ (key.softmax(1).transpose(1, 2) @ value)


class Edges(nn.Module):
    """Each edge is of one of several kinds, and each kind has messages of its own."""

    def __init__(self):
        super().__init__()
        self.kinds, self.message = nn.Linear(2 * SIZE, 3), nn.Linear(SIZE, SIZE)

    def forward(self, x):
        pairs = [x[:, :, None].expand(-1, -1, LENGTH, -1), x[:, None].expand(-1, LENGTH, -1, -1)]
        kinds = self.kinds(torch.cat(pairs, 3)).permute(0, 3, 1, 2).softmax(1)
        return (kinds @ self.message(x)[:, None]).sum(1)


class Experts(nn.Module):
    """A mixture of experts, configured with few of them, whose outputs are averaged over places."""

    def __init__(self, experts):
        super().__init__()
        self.gate = nn.Linear(SIZE, experts)
        self.experts = nn.ModuleList(nn.Linear(SIZE, SIZE) for _ in range(experts))

    def forward(self, x):
        weights = self.gate(x).softmax(-1)[..., None]
        return (weights * torch.stack([each(x) for each in self.experts], 2)).sum(2).mean(1)


class Graph(nn.Module):
    """A graph that is learnt from two tables, with the diffusion along it."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.randn(LENGTH, 3))
        self.other = nn.Parameter(torch.randn(3, LENGTH))

    def forward(self, x):
        return torch.einsum("bvd,vw->bwd", x, (self.one @ self.other).relu().softmax(1))


RIGHT = {
    "einsum": partial(Attention, -1),
    "causal": partial(Attention, 3, written="matmul"),
    "pooled": partial(Pooled, 1, multiplied),
    "pooled by a product": partial(Pooled, 1, of_matrices),
    "slots": partial(Slots, mean=True),
    "clusters": partial(Slots, mean=False),
    "capsules": Capsules,
    "keys first": KeysFirst,
    "images": Images,
    "channels": Channels,
    "linear attention": Linear,
    "kinds of edges": Edges,
    "experts": partial(Experts, 3),
    "one expert": partial(Experts, 1),
    "learnt graph": Graph,
}


@pytest.mark.parametrize("part", RIGHT.values(), ids=RIGHT)
def test_weights_that_add_up_where_they_are_summed_up_are_silent(part):
    assert not torchproof.prove(built(part), rules=[RULE]).findings


@pytest.mark.parametrize("arrange", [multiplied, of_matrices])
def test_a_single_place_is_silent(arrange):
    part = partial(Pooled, 1, arrange)
    assert not torchproof.prove(built(part, length=1), rules=[RULE]).findings


@pytest.mark.parametrize("build", [*tokens.RIGHT, *zoo.HEALTHY], ids=lambda build: build.__name__)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
