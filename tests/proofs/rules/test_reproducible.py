"""Bugs of the class `reproducible`; the marked line is where it shows."""

import random

import lookalikes
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof


RULE = "reproducible"


def noisy(noise):
    def loss(model, batch):
        return F.cross_entropy(model(batch["x"] + noise(batch["x"])), batch["y"])

    return lambda: lookalikes.trained_with(loss)


def test_numpy_without_a_seed(caught):
    def noise(x):
        return torch.from_numpy(np.random.default_rng().normal(size=x.shape)).float()  # here

    _, line = caught(RULE, noisy(noise))
    assert line.endswith("# here")


def test_a_generator_seeded_by_the_clock(caught):
    def noise(x):
        generator = torch.Generator()
        generator.seed()
        return torch.randn(x.shape, generator=generator)  # here

    _, line = caught(RULE, noisy(noise))
    assert line.endswith("# here")


def test_the_global_generator_seeded_by_the_clock(caught):
    def noise(x):
        torch.seed()
        return torch.zeros_like(x)

    finding, _ = caught(RULE, noisy(noise))
    assert finding.evidence["first operation"] == "dropout"


def test_rows_that_the_system_chooses(caught):
    dice = random.SystemRandom()

    def noise(x):
        return x[dice.sample(range(6), 6)]  # here

    _, line = caught(RULE, noisy(noise))
    assert line.endswith("# here")


def test_a_model_that_starts_elsewhere_each_time(caught):
    def build():
        model = zoo.mlp()
        with torch.no_grad():
            model[0].weight.add_(float(np.random.default_rng().normal()))
        return zoo.classifier(model, zoo.classes(4))

    finding, line = caught(RULE, build)
    assert "before the first step" in finding.message
    assert line.strip() == "def build():"


def test_a_generator_older_than_build_is_a_warning():
    dice = np.random.default_rng(0)

    def build():
        trainee = zoo.plain_mlp()
        inner = trainee.step
        trainee.step = lambda batch: inner({**batch, "x": batch["x"] * dice.random()})
        return trainee

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"


def test_random_numbers_from_a_seed_are_silent():
    def build():
        dice = np.random.default_rng(0)
        return noisy(lambda x: torch.tensor(dice.normal(size=x.shape)).float())()

    assert not torchproof.prove(build, rules=[RULE]).findings
