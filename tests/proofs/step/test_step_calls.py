"""One of two optimizers never steps: a bug, or one that waits for its turn."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "missing-update"


class Pair:
    """A body and a head, each with an optimizer of its own, and a loss."""

    def __init__(self):
        self.body, self.head = zoo.mlp(4, 8), nn.Linear(8, 3)
        self.of_body, self.of_head = (
            torch.optim.Adam(each.parameters()) for each in (self.body, self.head)
        )
        self.calls = 0

    def backward(self, batch):
        self.calls += 1
        loss = F.cross_entropy(self.head(self.body(batch["x"])), batch["y"])
        loss.backward()  # here
        return loss

    def clear(self):
        self.of_body.zero_grad()
        self.of_head.zero_grad()


def trained(make_step):
    def build():
        pair = Pair()
        models = {"body": pair.body, "head": pair.head}
        return Trainee(models, zoo.classes(4), make_step(pair))

    return build


def head_alone(pair):
    def step(batch):
        pair.clear()
        loss = pair.backward(batch)
        pair.of_head.step()
        return loss

    return step


def body_switched_off(pair):
    switched_on = False

    def step(batch):
        pair.clear()
        loss = pair.backward(batch)
        pair.of_head.step()
        if switched_on:
            pair.of_body.step()
        return loss

    return step


def a_loop_over_one(pair):
    def step(batch):
        pair.clear()
        loss = pair.backward(batch)
        for each in (pair.of_head,):
            each.step()
        return loss

    return step


@pytest.mark.parametrize("make_step", [head_alone, body_switched_off, a_loop_over_one])
def test_one_of_two_optimizers_that_never_steps(caught, make_step):
    finding, line = caught(RULE, trained(make_step))
    assert line.endswith("# here")
    assert "body.0.weight" in finding.message
    assert "head.weight" not in finding.message


def body_later(pair):
    def step(batch):
        pair.clear()
        loss = pair.backward(batch)
        pair.of_head.step()
        if pair.calls > 100:
            pair.of_body.step()
        return loss

    return step


def body_behind_a_return(pair):
    def step(batch):
        pair.clear()
        loss = pair.backward(batch)
        pair.of_head.step()
        if pair.calls < 100:
            return loss
        pair.of_body.step()
        return loss

    return step


def body_from_an_epoch_on(pair):
    def train(batch, epoch):
        pair.clear()
        loss = pair.backward(batch)
        pair.of_head.step()
        if epoch > 5:
            pair.of_body.step()
        return loss

    return lambda batch: train(batch, 0)


def body_in_a_loop_with_starts(pair):
    starts = {pair.of_head: 0, pair.of_body: 100}

    def step(batch):
        pair.clear()
        loss = pair.backward(batch)
        for each, start in starts.items():
            if pair.calls > start:
                each.step()
        return loss

    return step


def body_by_a_helper(pair):
    def finish(optimizer, every):
        if pair.calls % every == 0:
            optimizer.step()

    def step(batch):
        pair.clear()
        loss = pair.backward(batch)
        finish(pair.of_head, 1)
        finish(pair.of_body, 100)
        return loss

    return step


def body_not_cleared(pair):
    def step(batch):
        pair.of_head.zero_grad()
        loss = pair.backward(batch)
        pair.of_head.step()
        return loss

    return step


@pytest.mark.parametrize(
    "make_step",
    [
        body_later,
        body_behind_a_return,
        body_from_an_epoch_on,
        body_in_a_loop_with_starts,
        body_by_a_helper,
        body_not_cleared,
    ],
)
def test_an_optimizer_that_may_step_later_is_a_warning(make_step):
    (finding,) = torchproof.prove(trained(make_step), rules=[RULE]).findings
    assert finding.severity == "warning"
    assert "body.0.weight" in finding.message


def body_now_and_then(pair):
    def step(batch):
        pair.clear()
        loss = pair.backward(batch)
        pair.of_head.step()
        if pair.calls % 10 == 0:
            pair.of_body.step()
        return loss

    return step


def body_by_hand(pair):
    def step(batch):
        pair.clear()
        loss = pair.backward(batch)
        pair.of_head.step()
        with torch.no_grad():
            for each in pair.body.parameters():
                each.sub_(0.1 * each.grad)
        return loss

    return step


@pytest.mark.parametrize("make_step", [body_now_and_then, body_by_hand])
def test_gradients_that_are_used_are_silent(make_step):
    assert not torchproof.prove(trained(make_step), rules=[RULE]).findings


def test_a_body_that_is_declared_frozen_is_silent():
    def build():
        trainee = trained(head_alone)()
        trainee.frozen = ("body.*",)
        return trainee

    assert not torchproof.prove(build, rules=[RULE]).findings
