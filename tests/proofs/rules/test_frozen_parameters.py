"""Bugs of the class `frozen-parameters`."""

import lookalikes
import pytest
import torch
import zoo
from torch import nn

import torchproof


RULE = "frozen-parameters"


def net():
    backbone = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
    return nn.Sequential(backbone, nn.Linear(8, 3))


def test_declared_frozen_and_trained(caught):
    def build():
        return zoo.classifier(zoo.mlp(), zoo.classes(4), frozen="0.*")

    finding, _ = caught(RULE, build)
    assert finding.message == "0.weight, 0.bias are declared frozen and moved."


def test_batch_norm_of_a_frozen_backbone_in_training_mode(caught):
    def build():
        model = net()
        model[0].requires_grad_(requires_grad=False)
        return zoo.classifier(model, zoo.classes(4), torch.optim.SGD(model[1].parameters(), 0.1))

    finding, _ = caught(RULE, build)
    assert "0.1.running_mean, 0.1.running_var" in finding.message
    assert "frozen_part.eval()" in finding.remedy


def test_batch_norm_of_a_part_declared_frozen(caught):
    def build():
        model = net()
        optimizer = torch.optim.SGD(model[1].parameters(), 0.1)
        return zoo.classifier(model, zoo.classes(4), optimizer, frozen="0.*")

    caught(RULE, build)


def test_batch_norm_behind_a_frozen_layer_beside_the_head(caught):
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.norm, self.head = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
            self.body.requires_grad_(requires_grad=False)
            self.norm.requires_grad_(requires_grad=False)

        def forward(self, x):
            return self.head(self.norm(self.body(x)).relu())

    def build():
        model = Flat()
        return zoo.classifier(model, zoo.classes(4), torch.optim.Adam(model.head.parameters()))

    caught(RULE, build)


def test_batch_norm_behind_a_layer_that_learns_is_silent():
    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        model[1].requires_grad_(requires_grad=False)
        model[3].requires_grad_(requires_grad=False)
        return zoo.classifier(model, zoo.classes(4), torch.optim.Adam(model[0].parameters()))

    assert not torchproof.prove(build, rules=[RULE]).findings


def test_frozen_too_late_and_moved_by_momentum(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        for each in model[0].parameters():
            each.grad = torch.ones_like(each)
        model[0].requires_grad_(requires_grad=False)
        trainee = zoo.classifier(model, zoo.classes(4), optimizer)
        zero_grad = optimizer.zero_grad
        optimizer.zero_grad = lambda: zero_grad(set_to_none=False)
        optimizer.step()
        return trainee

    finding, _ = caught(RULE, build)
    assert "require no gradient, yet the optimizer moves them" in finding.message


@pytest.mark.parametrize(
    "build",
    [
        lookalikes.frozen_backbone_in_eval_mode,
        lookalikes.momentum_encoder_with_batch_norm,
        zoo.frozen_by_declaration,
        zoo.lora_on_a_frozen_base,
        zoo.moving_average_teacher,
        zoo.batch_norm_cnn,
    ],
)
def test_parts_frozen_as_they_should_be_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
