"""Bugs of the class `missing-update`; the marked line is where it shows."""

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


def test_one_of_two_optimizers_is_a_warning():
    def build():
        trainee = zoo.gan_with_two_optimizers()
        generator, critic = trainee.models["generator"], trainee.models["critic"]
        for_critic = torch.optim.Adam(critic.parameters())
        torch.optim.Adam(generator.parameters())
        kept = torch.optim.Adam(generator.parameters())

        def step(batch):
            for_critic.zero_grad()
            kept.zero_grad()
            loss = critic(generator(torch.randn(6, 2))).mean()
            loss.backward()
            for_critic.step()
            return loss

        return Trainee(trainee.models, trainee.batch, step, target=None)

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"
    assert "generator.0.weight" in finding.message


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
