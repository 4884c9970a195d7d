"""Bugs of the class `stale-gradients`; the marked line is where it shows."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "stale-gradients"


def test_zero_grad_forgotten(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)

        def step(batch):
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()  # here
            optimizer.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert finding.evidence["stale gradients"] == 4
    assert "optimizer.zero_grad()" in finding.remedy


def test_zero_grad_of_the_head_only_names_the_rest(caught):
    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            model[2].zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    finding, _ = caught(RULE, build)
    assert "0.weight, 0.bias." in finding.message


def test_a_grad_scaler_that_would_skip_the_update_hides_nothing(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        scaler = torch.amp.GradScaler("cpu")

        def step(batch):
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss

        return Trainee(model, zoo.classes(4), step)

    finding, _ = caught(RULE, build)
    assert finding.evidence["optimizer steps"] == "1 of 3"


def test_an_optimizer_that_takes_only_signs_hides_nothing(caught):
    class Sign(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})

        @torch.no_grad()
        def step(self, closure=None):
            for each in self.param_groups[0]["params"]:
                each.sub_(each.grad.sign().nan_to_num(), alpha=0.01)

    def build():
        model = zoo.mlp()
        optimizer = Sign(model.parameters())

        def step(batch):
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    caught(RULE, build)


def test_a_step_that_refuses_nan_is_still_judged(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            if not torch.isfinite(loss):
                raise FloatingPointError("the loss is not finite")
            loss.backward()
            optimizer.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    caught(RULE, build)


def test_one_update_in_sight_is_not_enough_to_judge():
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        calls = []

        def step(batch):
            calls.append(None)
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            if len(calls) % 6 == 0:
                optimizer.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    proof = torchproof.prove(build, rules=[RULE])
    assert proof.skipped == {RULE: "the optimizer stepped 1 time(s) in 8 calls"}


@pytest.mark.parametrize("build", zoo.HEALTHY, ids=lambda build: build.__name__)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
