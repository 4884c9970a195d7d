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


def q_learning(goal):
    """``goal`` makes the target of the rewards and of the next state's values."""

    def build():
        model, target = zoo.mlp(4, 3), zoo.mlp(4, 3).requires_grad_(requires_grad=False)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            value = model(batch["x"]).gather(1, batch["action"])
            loss = (value - goal(batch["y"], target(batch["next"]))).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        batch = {"x": torch.randn(6, 4), "next": torch.randn(6, 4), "y": torch.randn(6, 1)}
        batch["action"] = torch.randint(0, 3, (6, 1))
        return Trainee({"q": model, "target": target}, batch, step)

    return build


def one_step_ahead(reward, values):
    best = values.max(1).values
    return reward + 0.9 * best  # here


def test_a_target_made_without_gradients_is_crossed(caught):
    finding, line = caught(RULE, q_learning(one_step_ahead))
    assert line.endswith("# here")
    assert finding.evidence["result"] == [6, 6]


def by_a_metric(prediction, batch):
    wrong = (prediction.detach() > 0) != (batch["y"] > 0)  # here
    return F.mse_loss(prediction.squeeze(1), batch["y"]) + 0 * wrong.float().mean()


def test_a_metric_is_crossed(caught):
    _, line = caught(RULE, regression(by_a_metric))
    assert line.endswith("# here")


def discounted(reward, values):
    steps = 0.9 ** torch.arange(6)
    return (reward * steps)[:, :1] + 0.9 * values.amax(1, keepdim=True)


def ranked(reward, values):
    best = values.amax(1)
    below = best < best.view(-1, 1)
    earlier = reward.view(-1) < reward
    return reward + 0.9 * best[:, None] + 0 * (below & earlier).float().mean()


@pytest.mark.parametrize("goal", [discounted, ranked], ids=lambda goal: goal.__name__)
def test_what_is_made_of_one_side_alone_may_be_crossed(goal):
    assert not torchproof.prove(q_learning(goal), rules=[RULE]).findings


def test_a_bias_of_lower_rank_is_right():
    def loss_of(prediction, batch):
        return (prediction - batch["y"].mean()).pow(2).mean()

    assert not torchproof.prove(regression(loss_of), rules=[RULE]).findings


@pytest.mark.parametrize("build", zoo.HEALTHY, ids=lambda build: build.__name__)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
