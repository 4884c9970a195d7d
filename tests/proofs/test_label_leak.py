"""Bugs of the class `label-leak`."""

import pairs
import pytest
import tokens
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "label-leak"


def fed(features, **options):
    def loss_of(model, batch):
        return F.cross_entropy(model(features(batch)), batch["y"])

    return pairs.learner(nn.Linear(5, 3), pairs.labelled(4), loss_of, **options)


def both(batch):
    return torch.cat([batch["x"], batch["y"][:, None].float()], 1)


def test_the_label_among_the_features(caught):
    finding, _ = caught(RULE, lambda: fed(both))
    assert finding.evidence["largest change"] > 1e-3


def test_a_target_encoding_with_its_own_row(caught):
    def encoded(batch):
        means = torch.stack([batch["x"][batch["y"] == c].mean() for c in range(3)])
        return torch.cat([batch["x"], means[batch["y"]][:, None]], 1)

    caught(RULE, lambda: fed(encoded))


def test_a_predict_that_reads_the_labels(caught):
    def build():
        trainee = fed(both)
        model = trainee.model
        trainee.predict = lambda batch: model(both(batch)).detach()  # here
        return trainee

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert "(y)" in finding.message or "exchanging" in finding.message


def test_a_decoder_that_sees_the_whole_answer(caught):
    def build():
        trainee = tokens.translation_with_teacher_forcing()
        model = trainee.model
        model.decoder = Whole()
        trainee.predict = lambda batch: model(batch["source"], batch["y"][:, 1:]).detach()
        return trainee

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(8, 8)

        def forward(self, x):
            return self.inner(x + x.mean(1, keepdim=True)), None

    caught(RULE, build)


def test_a_margin_loss_in_the_model_is_warned():
    (finding,) = torchproof.prove(pairs.angular_margin_in_the_model, rules=[RULE]).findings
    assert finding.severity == "warning"


def adversarial_examples():
    """Inputs are pushed up the gradient of the loss, which knows the labels."""

    def loss_of(model, batch):
        x = batch["x"].clone().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(model(x), batch["y"]), x)
        return F.cross_entropy(model(batch["x"] + 0.1 * slope.sign()), batch["y"])

    return pairs.learner(zoo.mlp(), pairs.labelled(4), loss_of)


@pytest.mark.parametrize(
    "build",
    [
        adversarial_examples,
        *pairs.RIGHT[:9],
        pairs.diffusion_for_a_class,
        tokens.translation_with_teacher_forcing,
        tokens.copying_translation,
        tokens.shifted_inside_the_model,
        zoo.actor_critic_with_a_baseline,
    ],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
