"""Bugs of the class `stray-attributes`."""

import pytest
import torch
import zoo
from torch import nn

import torchproof


RULE = "stray-attributes"


def parameter_typo(model):
    for each in model[0].parameters():
        each.require_grad = False


def another_typo(model):
    model[0].weight.requires_gradient = False


def method_overwritten(model):
    model[0].weight.requires_grad_ = False


def name_of_another_library(model):
    model[0].weight.trainable = False


def module_attribute(model):
    model[0].requires_grad = False


@pytest.mark.parametrize(
    ("freeze", "name"),
    [
        (parameter_typo, "0.weight.require_grad"),
        (another_typo, "0.weight.requires_gradient"),
        (method_overwritten, "0.weight.requires_grad_"),
        (module_attribute, "0.requires_grad"),
        (name_of_another_library, "0.weight.trainable"),
    ],
)
def test_freezing_by_a_name_torch_does_not_know(caught, freeze, name):
    def build():
        model = zoo.mlp()
        freeze(model)
        return zoo.classifier(model, zoo.classes(4))

    finding, _ = caught(RULE, build)
    assert finding.message.startswith(name)
    assert "freezes nothing" in finding.message


class Judge(nn.Linear):
    def __init__(self, *, requires_grad):
        super().__init__(4, 3)
        self.requires_grad = requires_grad
        self.requires_grad_(requires_grad)


def test_an_option_that_is_kept_and_heeded_is_no_error():
    def build():
        model = nn.ModuleDict({"judge": Judge(requires_grad=False), "head": nn.Linear(4, 3)})
        return zoo.classifier(nn.Sequential(model["head"]), zoo.classes(4))

    def with_judge():
        trainee = build()
        judge = Judge(requires_grad=False)
        return torchproof.Trainee(
            (trainee.model, judge), trainee.batch, trainee.step, predict=trainee.predict
        )

    assert torchproof.prove(with_judge, rules=[RULE]).passed


def test_the_right_name_is_silent():
    def build():
        model = zoo.mlp()
        model[0].weight.requires_grad = False
        model[0].weight.note = "kept"
        return zoo.classifier(model, zoo.classes(4))

    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_mark_that_the_optimizer_was_built_by():
    def build():
        model = zoo.mlp()
        model[0].weight.trainable = False
        marked = [each for each in model.parameters() if getattr(each, "trainable", True)]
        return zoo.classifier(model, zoo.classes(4), torch.optim.SGD(marked, 0.1))

    proof = torchproof.prove(build, rules=[RULE, "parameter-sets"])
    assert [(each.rule, each.severity) for each in proof.findings] == [
        ("parameter-sets", "warning")
    ]
