"""Parameters that were tied when the model was made: which of them have lost their tie?"""

import copy

import pytest
import torch
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "checkpoint-round-trip"


class Words(nn.Module):
    """Gives scores for the next word by the weight of its embedding."""

    def __init__(self, words=9):
        super().__init__()
        self.embedding, self.head = nn.Embedding(words, 6), nn.Linear(6, words, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        return self.head(self.embedding(ids).tanh())


def trained(change):
    """Change a model after it was made; train what comes of it."""

    def build():
        model = Words()
        model = change(model) or model
        ids = torch.randint(0, 9, (6, 4))
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)

        def step(batch):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(batch["x"]).transpose(1, 2), batch["y"])
            loss.backward()
            optimizer.step()
            return loss

        return Trainee(model, {"x": ids, "y": ids.roll(-1, 1)}, step)

    return build


def resized(model):
    """Add two words, whose vectors are the mean of the others."""
    old = model.embedding.weight.detach()
    new = torch.cat([old, old.mean(0).expand(2, -1)])
    model.embedding, model.head = nn.Embedding(11, 6), nn.Linear(6, 11, bias=False)
    with torch.no_grad():
        model.embedding.weight.copy_(new)
        model.head.weight.copy_(new)


def resized_and_tied_again(model):
    resized(model)
    model.head.weight = model.embedding.weight


def copied_part_by_part(model):
    other = Words()
    model.embedding = copy.deepcopy(other.embedding)
    model.head = copy.deepcopy(other.head)


def bound_anew(model):
    for module in (model.embedding, model.head):
        module.weight = nn.Parameter(module.weight.detach().clone())


def assigned(model):
    state = {name: each.clone() for name, each in Words().state_dict().items()}
    state["head.weight"] = state["embedding.weight"].clone()
    model.load_state_dict(state, assign=True)


def copied_as_a_whole(model):
    return copy.deepcopy(model)


def loaded(model):
    model.load_state_dict(Words().state_dict())


def untied(model):
    model.head.weight = nn.Parameter(model.embedding.weight.detach().clone())


def fixed_from_now_on(model):
    bound_anew(model)
    model.embedding.requires_grad_(requires_grad=False)


def drawn_anew(model):
    model.embedding, model.head = nn.Embedding(9, 6), nn.Linear(6, 9, bias=False)


@pytest.mark.parametrize("change", [resized, copied_part_by_part, bound_anew, assigned])
def test_a_tie_that_is_lost_before_training(caught, change):
    finding, _ = caught(RULE, trained(change))
    assert finding.message.startswith("embedding.weight, head.weight were one parameter")


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        resized_and_tied_again,
        copied_as_a_whole,
        loaded,
        untied,
        fixed_from_now_on,
        drawn_anew,
    ],
)
def test_a_tie_that_is_kept_or_undone_on_purpose_is_silent(change):
    assert not torchproof.prove(trained(change), rules=[RULE]).findings


class Stack(nn.Module):
    """Three layers that begin as one module."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4)] * 3)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).tanh()
        return self.head(x)


def layers_that_begin_alike():
    model = Stack()
    model.layers = nn.ModuleList([copy.deepcopy(each) for each in model.layers])
    return zoo.classifier(model, zoo.classes(4))


def layers_that_a_class_of_torch_copies():
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return zoo.classifier(nn.Sequential(encoder, nn.Linear(4, 3)), zoo.classes(4))


@pytest.mark.parametrize("build", [layers_that_begin_alike, layers_that_a_class_of_torch_copies])
def test_copies_that_were_never_tied_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
