"""Clipping that comes too late, or of something else: bugs of the class `event-order`."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "event-order"


def by_norm(model):
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)


def by_hand(model):
    for each in model.parameters():
        each.grad.clamp_(-0.01, 0.01)


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)


def lbfgs(model):
    return torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=2)


def with_closure(clip, *, inside, make=sgd):
    """Clip inside the closure, or behind the step that is given it."""

    def build():
        model = zoo.mlp()
        optimizer = make(model)

        def step(batch):
            def closure():
                optimizer.zero_grad()
                loss = F.cross_entropy(model(batch["x"]), batch["y"])
                loss.backward()
                if inside:
                    clip(model)
                return loss

            loss = optimizer.step(closure)
            if not inside:
                clip(model)
            return loss.detach()

        return torchproof.Trainee(model, zoo.classes(4), step)

    return build


@pytest.mark.parametrize("make", [sgd, lbfgs])
@pytest.mark.parametrize("clip", [by_norm, by_hand])
def test_clipping_behind_a_step_with_a_closure(caught, clip, make):
    finding, _ = caught(RULE, with_closure(clip, inside=False, make=make))
    assert "after optimizer.step() has used them" in finding.message


@pytest.mark.parametrize("make", [sgd, lbfgs])
@pytest.mark.parametrize("clip", [by_norm, by_hand])
def test_clipping_in_the_closure_is_silent(clip, make):
    assert not torchproof.prove(with_closure(clip, inside=True, make=make), rules=[RULE]).findings


def measure(model):
    nn.utils.clip_grad_norm_(model.parameters(), float("inf"))


def test_measuring_behind_a_step_with_a_closure_is_silent():
    assert not torchproof.prove(with_closure(measure, inside=False), rules=[RULE]).findings


class Sharpness(torch.optim.Optimizer):
    """Reads the gradients that are there before it calls the closure (SAM)."""

    def __init__(self, params):
        super().__init__(params, {"rho": 0.05})
        self.base = torch.optim.SGD(self.param_groups, 0.1)

    @torch.no_grad()
    def step(self, closure):
        params = self.param_groups[0]["params"]
        moves = [0.05 * each.grad for each in params]
        for each, move in zip(params, moves):
            each.add_(move)
        self.zero_grad()
        with torch.enable_grad():
            closure()
        for each, move in zip(params, moves):
            each.sub_(move)
        self.base.step()


def two_passes():
    model = zoo.mlp()
    optimizer = Sharpness(model.parameters())

    def step(batch):
        def closure():
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            by_norm(model)
            return loss

        optimizer.zero_grad()
        loss = closure()
        by_hand(model)
        optimizer.step(closure)
        return loss.detach()

    return torchproof.Trainee(model, zoo.classes(4), step)


def test_an_optimizer_that_reads_gradients_before_its_closure_is_silent():
    assert not torchproof.prove(two_passes, rules=[RULE]).findings


def clipping(parameters):
    def build():
        model = zoo.mlp()
        optimizer = sgd(model)

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            nn.utils.clip_grad_norm_(parameters(model), 0.1)  # here
            optimizer.step()
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    return build


@pytest.mark.parametrize(
    "parameters",
    [
        lambda model: [each.data for each in model.parameters()],
        lambda model: list(copy.deepcopy(model).parameters()),
    ],
)
def test_clipping_of_copies(caught, parameters):
    finding, line = caught(RULE, clipping(parameters))
    assert line.endswith("# here")
    assert "copies of the parameters" in finding.message


@pytest.mark.parametrize(
    "parameters",
    [
        lambda model: model.parameters(),
        lambda model: [*model.parameters(), torch.zeros(1)],
        lambda model: list(model[0].parameters()),
    ],
)
def test_clipping_of_the_parameters_themselves_is_silent(parameters):
    assert not torchproof.prove(clipping(parameters), rules=[RULE]).findings
