"""Modules that began as copies of one and can never part."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "identical-units"


def net():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def learner(modules, loss_of):
    """Train several modules by ``loss_of(modules, batch)``."""
    optimizer = torch.optim.SGD([each for m in modules for each in m.parameters()], 0.1)

    def step(batch):
        optimizer.zero_grad()
        loss = loss_of(modules, batch)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Trainee(modules, zoo.classes(4), step, predict=lambda batch: modules[0](batch["x"]))


def both_on_all_rows(modules, batch):
    return sum(F.cross_entropy(each(batch["x"]), batch["y"]) for each in modules)


def each_on_its_rows(modules, batch):
    parts = zip(modules, batch["x"].chunk(2), batch["y"].chunk(2))
    return sum(F.cross_entropy(each(x), y) for each, x, y in parts)


def test_members_of_an_ensemble_made_by_copying(caught):
    def build():
        first = net()
        return learner((first, copy.deepcopy(first)), both_on_all_rows)

    finding, _ = caught(RULE, build)
    assert finding.message.startswith("0, 1 are copies of one module")
    assert finding.evidence["modules"] == 2


class Experts(nn.Module):
    """Weighs its experts by a gate."""

    def __init__(self, *, gate):
        super().__init__()
        first = net()
        self.experts = nn.ModuleList([copy.deepcopy(first) for _ in range(3)])
        self.gate = nn.Linear(4, 3)
        if not gate:
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)

    def forward(self, x):
        shares = self.gate(x).softmax(-1)
        return (shares[:, None] * torch.stack([each(x) for each in self.experts], -1)).sum(-1)


def test_copied_experts_behind_a_gate_that_starts_even():
    proof = torchproof.prove(
        lambda: zoo.classifier(Experts(gate=False), zoo.classes(4)), rules=[RULE]
    )
    assert any(
        each.message.startswith("experts.0, experts.1, experts.2 are copies")
        for each in proof.findings
    )


def test_heads_that_were_drawn_from_one_seed(caught):
    def build():
        heads = []
        for _ in range(2):
            torch.manual_seed(0)
            heads.append(net())
        return learner(tuple(heads), both_on_all_rows)

    caught(RULE, build)


def experts_parted_by_a_drawn_gate():
    return zoo.classifier(Experts(gate=True), zoo.classes(4))


def members_drawn_apart():
    return learner((net(), net()), both_on_all_rows)


def a_module_in_a_module():
    return zoo.classifier(nn.Sequential(nn.Sequential(nn.Sequential(net()))), zoo.classes(4))


def copies_that_see_other_rows():
    first = net()
    return learner((first, copy.deepcopy(first)), each_on_its_rows)


def copies_parted_by_dropout():
    first = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    return learner((first, copy.deepcopy(first)), both_on_all_rows)


def layers_cloned_one_behind_the_other():
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    model = nn.Sequential(nn.Unflatten(1, (1, 4)), encoder, nn.Flatten(), nn.Linear(4, 3))
    return zoo.classifier(model, zoo.classes(4))


def replicas_with_averaged_gradients():
    first = net()
    replicas = (first, copy.deepcopy(first))
    optimizers = [torch.optim.SGD(each.parameters(), 0.1) for each in replicas]

    def step(batch):
        loss = each_on_its_rows(replicas, batch)
        for each in replicas:
            each.zero_grad()
        loss.backward()
        for pair in zip(*(each.parameters() for each in replicas)):
            mean = (pair[0].grad + pair[1].grad) / 2
            for each in pair:
                each.grad = mean.clone()
        for each in optimizers:
            each.step()
        return loss.detach()

    return Trainee(replicas, zoo.classes(4), step, predict=lambda batch: first(batch["x"]))


@pytest.mark.parametrize(
    "build",
    [
        experts_parted_by_a_drawn_gate,
        members_drawn_apart,
        a_module_in_a_module,
        copies_that_see_other_rows,
        copies_parted_by_dropout,
        layers_cloned_one_behind_the_other,
        replicas_with_averaged_gradients,
        zoo.mixture_of_experts,
        zoo.transformer_encoder,
    ],
    ids=lambda build: build.__name__,
)
def test_modules_that_part_are_silent(build):
    assert torchproof.prove(build, rules=[RULE]).passed
