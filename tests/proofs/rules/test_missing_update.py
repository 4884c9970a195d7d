"""Bugs of the class `missing-update`; the marked line is where it shows."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof
from torchproof import Trainee


RULE = "missing-update"


def test_the_step_of_the_optimizer_forgotten(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.Adam(model.parameters())

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()  # here
            return loss

        return Trainee(model, zoo.classes(4), step)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert finding.evidence["optimizer steps"] == 0


def test_a_scheduler_stepped_instead(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            scheduler.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    caught(RULE, build)


def test_nothing_but_a_loss(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.Adam(model.parameters())

        def step(batch):
            optimizer.zero_grad()
            return F.cross_entropy(model(batch["x"]), batch["y"])  # here

        return Trainee(model, zoo.classes(4), step)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert "no backward(), no optimizer.step()" in finding.message


def by_hand(update, every=1):
    def build():
        model = zoo.mlp()
        calls = []

        def step(batch):
            calls.append(None)
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            gradients = torch.autograd.grad(loss, list(model.parameters()))  # here
            if len(calls) % every == 0:
                with torch.no_grad():
                    for each, gradient in zip(model.parameters(), gradients):
                        update(each, gradient)
            return loss

        return Trainee(model, zoo.classes(4), step)

    return build


def test_an_update_by_hand_that_makes_new_tensors(caught):
    finding, line = caught(RULE, by_hand(lambda each, gradient: each - 0.1 * gradient))
    assert line.endswith("# here")
    assert "no parameter ever changes" in finding.message


@pytest.mark.parametrize("every", [1, 16])
def test_an_update_by_hand_in_place_is_silent(every):
    build = by_hand(lambda each, gradient: each.sub_(0.1 * gradient), every)
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_parameters_that_are_kept_outside_the_model_are_not_judged():
    def build():
        model = zoo.mlp()
        held = {name: each.detach().clone() for name, each in model.named_parameters()}

        def step(batch):
            leaves = {name: each.requires_grad_() for name, each in held.items()}
            logits = torch.func.functional_call(model, leaves, (batch["x"],))
            loss = F.cross_entropy(logits, batch["y"])
            gradients = torch.autograd.grad(loss, list(leaves.values()))
            for name, gradient in zip(leaves, gradients):
                held[name] = held[name].detach() - 0.1 * gradient
            return loss

        return Trainee(model, zoo.classes(4), step)

    proof = torchproof.prove(build, rules=[RULE])
    assert not proof.findings
    assert RULE in proof.skipped


def test_long_accumulation_is_waited_for():
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        calls = []

        def step(batch):
            calls.append(None)
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            if len(calls) % 32 == 0:
                optimizer.step()
                optimizer.zero_grad()
            return loss

        return Trainee(model, zoo.classes(4), step)

    assert not torchproof.prove(build, rules=[RULE]).findings
