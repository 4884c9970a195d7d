"""Bugs of the class `shared-memory`."""

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "shared-memory"


class Tied(nn.Module):
    def __init__(self, tie):
        super().__init__()
        self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
        tie(self)

    def forward(self, tokens):
        return self.head(self.embed(tokens))


def by_data(model):
    model.head.weight.data = model.embed.weight.data


def as_one(model):
    model.head.weight = model.embed.weight


def not_trained(model):
    by_data(model)
    model.embed.weight.requires_grad = False


def in_one_buffer(model):
    flat = torch.randn(72)
    model.embed.weight.data = flat[:36].view(9, 4)
    model.head.weight.data = flat[36:].view(9, 4)


def tied(tie):
    def build():
        tokens = torch.randint(9, (6, 5))
        batch = {"x": tokens, "y": tokens.roll(-1, 1)}

        def loss_of(model, batch):
            return F.cross_entropy(model(batch["x"]).transpose(1, 2), batch["y"])

        model = Tied(tie)
        return pairs.learner(model, batch, loss_of)

    return build


def test_weights_tied_by_their_data(caught):
    finding, _ = caught(RULE, tied(by_data))
    assert finding.message.startswith("embed.weight and head.weight are two parameters")


@pytest.mark.parametrize(
    "build", [tied(as_one), tied(not_trained), tied(in_one_buffer), *zoo.HEALTHY[:6]]
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
