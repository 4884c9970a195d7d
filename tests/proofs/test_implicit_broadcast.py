"""Bugs of the class `implicit-broadcast`; the marked line is the wrong one."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "implicit-broadcast"


def by_hand(prediction, batch):
    return ((prediction - batch["y"]) ** 2).mean()  # here


def by_the_loss_function(prediction, batch):
    return F.mse_loss(prediction, batch["y"])  # here


def by_the_weights(prediction, batch):
    each = (prediction.squeeze(1) - batch["y"]) ** 2
    return (each * batch["y"].abs()[:, None].clone()).mean()  # here


def by_the_target(prediction, batch):
    target = batch["y"].unsqueeze(1)
    return (prediction.squeeze(1) - target).abs().mean()  # here


def by_squeezing_one_and_not_the_other(prediction, batch):
    return F.l1_loss(prediction.squeeze(1), batch["y"].unsqueeze(1))  # here


class Loss(nn.Module):
    def forward(self, prediction, target):
        return torch.sub(prediction, target).pow(2).mean()  # here


def in_a_loss_module(prediction, batch):
    return Loss()(prediction, batch["y"])


WRONG = [
    by_hand,
    by_the_loss_function,
    by_the_weights,
    by_the_target,
    by_squeezing_one_and_not_the_other,
    in_a_loss_module,
]


def regression(loss_of):
    def build():
        model = zoo.mlp(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            loss = loss_of(model(batch["x"]), batch)
            loss.backward()
            optimizer.step()
            return loss

        return Trainee(model, zoo.numbers(4), step)

    return build


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("loss_of", WRONG, ids=lambda loss: loss.__name__)
def test_a_silent_cross_is_found_at_its_line(caught, loss_of):
    finding, line = caught(RULE, regression(loss_of))
    assert line.endswith("# here")
    assert finding.evidence["result"] == [6, 6]
    assert ".squeeze(-1)" in finding.remedy


def test_a_bias_of_lower_rank_is_right():
    def loss_of(prediction, batch):
        return (prediction - batch["y"].mean()).pow(2).mean()

    assert not torchproof.prove(regression(loss_of), rules=[RULE]).findings


@pytest.mark.parametrize("build", zoo.HEALTHY, ids=lambda build: build.__name__)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
