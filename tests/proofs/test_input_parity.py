"""Bugs of the class `input-parity`."""

import pairs
import pytest
import tokens
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof


RULE = "input-parity"


def prepared(in_step, in_predict):
    model = zoo.mlp()

    def predict(batch):  # here
        model.eval()
        with torch.no_grad():
            return model(in_predict(batch["x"]))

    return pairs.learner(
        model,
        pairs.labelled(4),
        lambda m, b: F.cross_entropy(m(in_step(b["x"])), b["y"]),
        predict=predict,
    )


def as_it_is(x):
    return x


def test_normalised_only_in_the_step(caught):
    finding, line = caught(RULE, lambda: prepared(lambda x: (x - 0.5) / 0.25, as_it_is))
    assert line.endswith("# here")
    assert finding.evidence["largest difference"] > 1


def test_normalised_only_when_predicting(caught):
    caught(RULE, lambda: prepared(as_it_is, lambda x: x / 255))


def test_channels_in_another_order(caught):
    caught(RULE, lambda: prepared(as_it_is, lambda x: x.flip(1)))


def test_statistics_of_the_batch_only_in_the_step(caught):
    caught(RULE, lambda: prepared(lambda x: (x - x.mean(0)) / x.std(0), as_it_is))


def test_clipped_only_when_predicting(caught):
    caught(RULE, lambda: prepared(as_it_is, lambda x: x.clamp(-0.1, 0.1)))


def the_same_preparation():
    return prepared(lambda x: x / 2, lambda x: x / 2)


def noise_in_training():
    return prepared(lambda x: x + 0.1 * torch.randn_like(x), as_it_is)


def rows_turned_round():
    model = zoo.mlp()
    return pairs.learner(
        model,
        pairs.labelled(4),
        lambda m, b: F.cross_entropy(m(b["x"].flip(0)), b["y"].flip(0)),
        predict=lambda batch: model.eval()(batch["x"]).detach(),
    )


def mixup():
    trainee = pairs.mixup_with_the_reversed_batch()
    model = trainee.model
    trainee.predict = lambda batch: model.eval()(batch["x"]).detach()
    return trainee


def attacked():
    """Learns on inputs pushed up the gradient, which takes a pass over the plain ones."""
    model = zoo.mlp()

    def loss_of(model, batch):
        x = batch["x"].clone().requires_grad_()
        loss = F.cross_entropy(model(x), batch["y"])
        (slope,) = torch.autograd.grad(loss, x, retain_graph=True)
        return loss + F.cross_entropy(model(batch["x"] + 0.1 * slope.sign()), batch["y"])

    return pairs.learner(
        model,
        pairs.labelled(4),
        loss_of,
        predict=lambda batch: model.eval()(batch["x"]).detach(),
    )


def averaged_over_two_views():
    model = zoo.mlp()

    def predict(batch):
        with torch.no_grad():
            return (model.eval()(batch["x"].flip(1)) + model(batch["x"])) / 2

    return pairs.learner(
        model, pairs.labelled(4), lambda m, b: F.cross_entropy(m(b["x"]), b["y"]), predict=predict
    )


@pytest.mark.parametrize(
    "build",
    [
        the_same_preparation,
        noise_in_training,
        rows_turned_round,
        mixup,
        attacked,
        averaged_over_two_views,
        tokens.translation_with_teacher_forcing,
        pairs.monte_carlo_dropout,
        pairs.generator_of_noise,
        zoo.gan_with_two_optimizers,
        zoo.evaluation_that_restores_everything,
    ],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
