"""Bugs of the class `uphill-update`; the marked line is where it shows."""

import lookalikes
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof
from torchproof import Trainee


RULE = "uphill-update"


def test_a_loss_maximised_by_the_optimizer(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.Adam(model.parameters(), 1e-2, maximize=True)
        return zoo.classifier(model, zoo.classes(4), optimizer)

    finding, line = caught(RULE, build)
    assert line.strip() == "optimizer.step()"
    assert finding.evidence["maximize"] is True
    assert finding.evidence["change of the loss, first order"] > 0


def test_backward_from_the_negative_loss(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            (-loss).backward()  # here
            optimizer.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    _, line = caught(RULE, build)
    assert line.endswith("# here")


def test_a_negative_loss_that_is_returned_as_well(caught):
    def build():
        return lookalikes.trained_with(lambda m, b: -F.cross_entropy(m(b["x"]), b["y"]))

    finding, _ = caught(RULE, build)
    assert finding.evidence["loss returned"] < 0


def test_two_minus_signs_are_right():
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1, maximize=True)
        return lookalikes.trained_with(
            lambda m, b: -F.cross_entropy(m(b["x"]), b["y"]), model, optimizer=optimizer
        )

    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_plus_in_a_hand_written_optimizer(caught):
    class Plus(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1})

        @torch.no_grad()
        def step(self, closure=None):
            for each in self.param_groups[0]["params"]:
                each.add_(each.grad, alpha=0.1)

    def build():
        model = zoo.mlp(4, 1)
        return lookalikes.trained_with(
            lambda m, b: F.mse_loss(m(b["x"]).squeeze(1), b["y"]),
            model,
            zoo.numbers(4),
            Plus(model.parameters()),
        )

    caught(RULE, build)


def test_a_negative_sign_in_front_of_the_mean(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        scaler = torch.amp.GradScaler("cpu")

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            scaler.scale(-loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss.item()

        return Trainee(model, zoo.classes(4), step)

    caught(RULE, build)


@pytest.mark.parametrize(
    "build",
    [
        lookalikes.policy_gradient_that_maximises,
        lookalikes.least_squares_gan,
        zoo.lbfgs_closure,
        zoo.sharpness_aware_minimisation,
    ],
)
def test_objectives_that_may_grow_are_left_alone(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
