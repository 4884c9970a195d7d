"""Bugs of the class `labels-used`."""

from collections import namedtuple
from dataclasses import make_dataclass

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "labels-used"


def with_loss(loss_of, model=None, batch=None):
    return pairs.learner(model or zoo.mlp(), batch or pairs.labelled(4), loss_of)


def test_a_target_made_of_the_prediction(caught):
    def loss_of(model, batch):
        logits = model(batch["x"])
        return F.cross_entropy(logits, logits.argmax(1))  # here

    finding, line = caught(RULE, lambda: with_loss(loss_of))
    assert line.endswith("# here")
    assert finding.evidence["change of the loss"] == 0.0


def test_a_constant_in_place_of_the_labels(caught):
    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]), torch.zeros_like(batch["y"]))

    caught(RULE, lambda: with_loss(loss_of))


def test_labels_lost_in_a_comparison(caught):
    def loss_of(model, batch):
        return F.mse_loss(model(batch["x"]), (batch["y"] > 1e6).float()[:, None])

    batch = {"x": torch.randn(6, 4), "y": torch.randn(6)}
    caught(RULE, lambda: with_loss(loss_of, nn.Linear(4, 1), batch))


def test_labels_of_another_batch(caught):
    def build():
        batch = pairs.labelled(4)
        old = batch["y"].clone()
        return with_loss(lambda m, b: F.cross_entropy(m(b["x"]), old), batch=batch)

    caught(RULE, build)


@pytest.mark.parametrize(
    "record",
    [
        make_dataclass("Sample", ["image", "label"]),
        namedtuple("Pair", ["label", "image"]),  # noqa: PYI024 - as data sets return it
    ],
)
def test_labels_in_a_field_of_a_record(caught, record):
    def build(constant=True):  # noqa: FBT002 - a variant, not a switch
        def loss_of(model, batch):
            return F.cross_entropy(model(batch.image), batch.label * (not constant))

        known = pairs.labelled(4)
        batch = record(image=known["x"], label=known["y"])
        return pairs.learner(zoo.mlp(), batch, loss_of, target="label")

    caught(RULE, build)
    right = torchproof.prove(lambda: build(constant=False), rules=[RULE])
    assert right.passed
    assert not right.skipped


def test_words_that_a_model_of_zeros_is_asked_for_are_labels():
    """At first every answer is 0, whatever is asked; the gradient is not."""

    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outer = nn.Embedding(9, 4), nn.Embedding(9, 4)
            nn.init.zeros_(self.outer.weight)

        def forward(self, word, other):
            return (self.inner(word) * self.outer(other)).sum(-1)

    def build():
        batch = {"word": torch.arange(6), "other": torch.arange(6) + 2}
        return pairs.learner(
            Pairs(),
            batch,
            lambda m, b: -F.logsigmoid(m(b["word"], b["other"])).mean(),
            target="other",
        )

    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_step_that_learns_without_them_is_warned():
    (finding,) = torchproof.prove(pairs.autoencoder_beside_labels, rules=[RULE]).findings
    assert finding.severity == "warning"
    assert "Trainee(target=None)" in finding.remedy


@pytest.mark.parametrize(
    "build", [*pairs.RIGHT[:9], pairs.diffusion_for_a_class, pairs.two_views_and_no_labels]
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
