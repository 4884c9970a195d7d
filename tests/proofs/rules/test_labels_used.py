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


def numbers(loss_of, model=None):
    return pairs.learner(model or zoo.mlp(4, 1), zoo.numbers(4), loss_of)


@pytest.mark.parametrize("loss", [F.smooth_l1_loss, lambda o, y: (o - y).square().mean()])
def test_numbers_made_of_the_prediction(caught, loss):
    def loss_of(model, batch):
        predicted = model(batch["x"]).squeeze(1)
        return loss(predicted, predicted.detach() + 0.1)

    caught(RULE, lambda: numbers(loss_of))


def test_classes_of_the_prediction_at_every_position(caught):
    def loss_of(model, batch):
        logits = model(batch["x"])
        return F.cross_entropy(logits.reshape(-1, 3), logits.argmax(-1).reshape(-1))

    batch = {"x": torch.randn(6, 5, 4), "y": torch.arange(30).reshape(6, 5) % 3}
    caught(RULE, lambda: with_loss(loss_of, batch=batch))


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.classes, self.value = nn.Linear(4, 3), nn.Linear(4, 1)

    def forward(self, x):
        return self.classes(x), self.value(x).squeeze(1)


def two_tasks(target_of):
    def loss_of(model, batch):
        logits, value = model(batch["x"])
        labels = batch["y"]
        return F.cross_entropy(logits, labels["c"]) + F.mse_loss(value, target_of(value, labels))

    batch = {"x": torch.randn(6, 4), "y": {"c": torch.arange(6) % 3, "v": torch.randn(6)}}
    return with_loss(loss_of, TwoHeads(), batch)


def test_one_of_two_labels_replaced_by_the_prediction(caught):
    finding, _ = caught(RULE, lambda: two_tasks(lambda value, _: value.detach()))
    assert finding.message.startswith("The label v is not used")


def test_two_labels_that_are_used_are_right():
    def build():
        return two_tasks(lambda _, labels: labels["v"])

    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_teacher_in_place_of_the_labels_is_a_warning():
    def loss_of(model, batch):
        with torch.no_grad():
            taught = model(batch["x"]).squeeze(1)
        noisy = batch["x"] + 0.1 * torch.randn(6, 4)
        return (model(noisy).squeeze(1) - taught).square().mean()

    (finding,) = torchproof.prove(lambda: numbers(loss_of), rules=[RULE]).findings
    assert finding.severity == "warning"


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


def tags(chosen):
    def loss_of(model, batch):
        logits, y = model(batch["x"]).flatten(0, 1), batch["y"].flatten()
        return F.cross_entropy(logits, chosen(logits, y).where(y >= 0, -100))

    batch = {"x": torch.randn(4, 6, 4), "y": (torch.arange(24).view(4, 6) % 3).clone()}
    batch["y"][:, -1] = -100
    return with_loss(loss_of, batch=batch)


def test_classes_of_the_prediction_where_all_rows_have_the_same_tags(caught):
    caught(RULE, lambda: tags(lambda logits, _: logits.argmax(-1)))


def test_tags_that_are_the_same_in_all_rows_may_be_used():
    found = torchproof.prove(lambda: tags(lambda _, y: y)).findings
    assert RULE not in [each.rule for each in found]
