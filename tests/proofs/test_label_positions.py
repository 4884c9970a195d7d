"""Bugs of the class `label-positions`."""

import pytest
import tokens
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "label-positions"


def language(loss_of, batch=None, model=None, **options):
    words = tokens.sentences()
    batch = batch or {"x": words, "y": words}
    return tokens.trainee(model or tokens.LanguageModel(), batch, loss_of, **options)


def test_labels_that_are_not_shifted(caught):
    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]).flatten(0, 1), batch["y"].flatten())  # here

    finding, line = caught(RULE, lambda: language(loss_of))
    assert line.endswith("# here")
    assert finding.evidence["shift"] == 0


def test_labels_that_are_shifted_twice(caught):
    def build():
        words = tokens.sentences(tokens.LENGTH + 1)
        batch = {"x": words[:, :-1], "y": words[:, 1:]}
        return language(lambda m, b: tokens.next_token_loss(m(b["x"]), b["y"]), batch)

    finding, _ = caught(RULE, build)
    assert finding.evidence["shift"] == 2


def test_labels_that_are_shifted_the_wrong_way(caught):
    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"])[:, 1:].flatten(0, 1), batch["y"][:, :-1].flatten())

    finding, _ = caught(RULE, lambda: language(loss_of))
    assert finding.evidence["shift"] == -1


def test_classes_that_are_reshaped_instead_of_exchanged(caught):
    def loss_of(model, batch):
        logits = model(batch["x"])
        return F.cross_entropy(logits.reshape(len(logits), tokens.WORDS, -1), batch["y"])

    finding, _ = caught(RULE, lambda: language(loss_of))
    assert "reshaped" in finding.message


def segmentation(arrange, width=5):
    def loss_of(model, batch):
        return F.cross_entropy(*arrange(model(batch["x"]), batch["y"]))

    batch = {"x": torch.randn(4, 1, 5, width), "y": torch.randint(0, 3, (4, 5, width))}
    return tokens.trainee(nn.Conv2d(1, 3, 3, padding=1), batch, loss_of)


@pytest.mark.parametrize("width", [5, 6])
def test_an_image_flattened_before_its_channels_are_last(caught, width):
    caught(RULE, lambda: segmentation(lambda out, y: (out.reshape(-1, 3), y.flatten()), width))


def image_right():
    return segmentation(lambda out, y: (out, y))


def image_flattened_right():
    return segmentation(lambda out, y: (out.permute(0, 2, 3, 1).reshape(-1, 3), y.flatten()))


def anchors():
    """Each place of the grid has two anchors of three classes."""

    def loss_of(model, batch):
        logits = model(batch["x"]).unflatten(1, (2, 3))
        return F.cross_entropy(logits.transpose(1, 2), batch["y"])

    batch = {"x": torch.randn(4, 1, 6, 6), "y": torch.randint(0, 3, (4, 2, 6, 6))}
    return tokens.trainee(nn.Conv2d(1, 6, 3, padding=1), batch, loss_of)


def a_place_along_the_width():
    """Each of three points is classified by where it lies along the width of its own map."""

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]).mean(2).flatten(0, 1), batch["y"].flatten())

    batch = {"x": torch.randn(4, 1, 5, 6), "y": torch.randint(0, 6, (4, 3))}
    return tokens.trainee(nn.Conv2d(1, 3, 3, padding=1), batch, loss_of)


def regression_over_time():
    batch = {"x": torch.randn(4, 6, 2), "y": torch.randn(4, 6, 1)}
    return tokens.trainee(nn.Linear(2, 1), batch, lambda m, b: F.mse_loss(m(b["x"]), b["y"]))


def confident_language_model():
    """Logits so large that probabilities are zero or one."""

    def loss_of(model, batch):
        return tokens.next_token_loss(50 * model(batch["x"]), batch["y"])

    return language(loss_of)


def confident_tagger():
    """Some positions are all but certain, so that their gradients are smaller than rounding."""

    def loss_of(model, batch):
        return F.cross_entropy(20 * model(batch["x"]).flatten(0, 1), batch["y"].flatten())

    batch = {"x": tokens.sentences(12), "y": torch.randint(0, 2, (4, 12))}
    model = nn.Sequential(nn.Embedding(tokens.WORDS, 8), nn.Linear(8, 2))
    return tokens.trainee(model, batch, loss_of)


LOOK_ALIKES = [
    image_right,
    image_flattened_right,
    anchors,
    a_place_along_the_width,
    regression_over_time,
    confident_language_model,
    confident_tagger,
]


@pytest.mark.parametrize(
    "build", [*LOOK_ALIKES, *tokens.RIGHT, *zoo.HEALTHY], ids=lambda build: build.__name__
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
