"""Gradients that are changed in a copy: bugs of the class `event-order`."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof


RULE = "event-order"


def changed(change):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.Adam(model.parameters())

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            change(model)
            optimizer.step()
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    return build


def clamp_copies(model):
    for each in model.parameters():
        each.grad.clamp(-0.01, 0.01)  # here


def scale_copies(model):
    norm = torch.stack([each.grad.norm() for each in model.parameters()]).norm()
    for each in model.parameters():
        each.grad * (0.1 / norm)  # here


@pytest.mark.parametrize("change", [clamp_copies, scale_copies])
def test_clipping_of_copies_that_are_thrown_away(caught, change):
    finding, line = caught(RULE, changed(change))
    assert line.endswith("# here")
    assert "copies that are thrown away" in finding.message


def in_place(model):
    for each in model.parameters():
        each.grad.clamp_(-0.01, 0.01)


def assign(model):
    for each in model.parameters():
        each.grad = each.grad.clamp(-0.01, 0.01)


def copy_back(model):
    for each in model.parameters():
        each.grad.copy_(each.grad.mul(0.5))


def keep(model):
    model.log = [each.grad.mul(2.0) for each in model.parameters()]


def show(model):
    for each in model.parameters():
        str(each.grad.div(2.0))


def descend(model):
    with torch.no_grad():
        for each in model.parameters():
            each.sub_(0.1 * each.grad.clamp(-1.0, 1.0))


@pytest.mark.parametrize("change", [in_place, assign, copy_back, keep, show, descend])
def test_changes_that_something_reads_or_keeps_are_silent(change):
    assert not torchproof.prove(changed(change), rules=[RULE]).findings
