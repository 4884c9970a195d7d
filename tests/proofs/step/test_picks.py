"""Losses written by hand that read a softmax, or a layer, at the labels: `loss-input`."""

import lookalikes
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "loss-input"


def onehot(labels):
    return F.one_hot(labels, 3).float()


def mask(labels):
    return labels[:, None] == torch.arange(3)


def rows(labels):
    return torch.arange(len(labels))


OVER = {
    "gather": lambda o, y, d: -o.log_softmax(d).gather(1, y[:, None]).mean(),  # here
    "rows and labels": lambda o, y, d: -F.log_softmax(o, d)[rows(y), y].mean(),  # here
    "logarithm": lambda o, y, d: -(o.softmax(d) + 1e-9).log()[rows(y), y].sum(),  # here
    "logarithm last": lambda o, y, d: -o.softmax(d).gather(1, y[:, None]).log().sum(),  # here
    "labels as a mask": lambda o, y, d: -(o.log_softmax(d) * mask(y)).sum() / 6,  # here
    "one-hot labels": lambda o, y, d: -(onehot(y) * o.log_softmax(d)).sum(1).mean(),  # here
    "overlap": lambda o, y, d: 1 - (onehot(y) * o.softmax(d)).sum() / 6,  # here
}


def trained(loss_of):
    return lambda: lookalikes.trained_with(lambda m, b: loss_of(m(b["x"]), b["y"]))


@pytest.mark.parametrize("name", OVER)
def test_a_softmax_over_the_batch(caught, name):
    finding, line = caught(RULE, trained(lambda o, y: OVER[name](o, y, 0)))
    assert finding.evidence == {"axis of the softmax": 0, "axis of the classes": 1}
    assert line.endswith("# here")


@pytest.mark.parametrize("name", OVER)
def test_a_softmax_over_the_classes_is_right(name):
    build = trained(lambda o, y: OVER[name](o, y, 1))
    assert not torchproof.prove(build, rules=[RULE]).findings


BARE = {
    "gather": lambda o, y: -o.gather(1, y[:, None]).mean(),
    "rows and labels": lambda o, y: -o[rows(y), y].sum() / 6,
}


@pytest.mark.parametrize("name", BARE)
def test_bare_outputs_at_the_labels(caught, name):
    finding, _ = caught(RULE, trained(BARE[name]))
    assert "fall without end" in finding.message


TWICE = {
    "sigmoid": lambda o, y: (o.sigmoid().sigmoid() - onehot(y)).square().mean(),
    "log_softmax": lambda o, y: -o.softmax(1).log_softmax(1).gather(1, y[:, None]).mean(),
}


@pytest.mark.parametrize("name", TWICE)
def test_probabilities_taken_for_logits(caught, name):
    finding, _ = caught(RULE, trained(TWICE[name]))
    assert name in finding.message


def margin(logits, labels):
    return (1 + logits - logits[rows(labels), labels][:, None]).clamp_min(0).sum(1).mean()


def stable(logits, labels):
    return (logits.logsumexp(1) - logits.gather(1, labels[:, None]).squeeze(1)).mean()


def expected_error(logits, labels):
    return 1 - logits.softmax(1).gather(1, labels[:, None]).mean()


@pytest.mark.parametrize("loss_of", [margin, stable, expected_error])
def test_other_losses_of_outputs_at_the_labels_are_right(loss_of):
    assert not torchproof.prove(trained(loss_of), rules=[RULE]).findings


def contrastive_over_both_axes():
    def loss_of(model, batch):
        encoded = F.normalize(model(batch["x"]), dim=1)
        similar = encoded @ encoded.T * 5
        places = batch["place"][:, None]
        both = [similar.log_softmax(axis).gather(1, places).mean() for axis in (0, 1)]
        return -sum(both) / 2

    batch = {"x": torch.randn(6, 4), "place": torch.arange(6)}
    return lookalikes.trained_with(loss_of, batch=batch, target=None)


def attention_over_the_places():
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights, self.values = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            return (self.weights(x).softmax(1) * self.values(x)).sum(1)

    return zoo.classifier(Pooled(), zoo.classes(5, 4))


def critics_of_each_class():
    """Without a sigmoid, a critic's output may be moved as it is; the other one bounds it."""
    generator, critic = zoo.mlp(4, 4), zoo.mlp(4, 3)
    optimizer = torch.optim.Adam(generator.parameters())

    def step(batch):
        optimizer.zero_grad()
        loss = -critic(generator(batch["x"]))[rows(batch["y"]), batch["y"]].mean()
        loss.backward()
        optimizer.step()
        return loss

    models = {"generator": generator, "critic": critic}
    return Trainee(models, zoo.classes(4), step, predict=lambda b: b["x"])


@pytest.mark.parametrize(
    "build",
    [
        contrastive_over_both_axes,
        attention_over_the_places,
        critics_of_each_class,
        lookalikes.q_learning_with_a_target_network,
    ],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def policy(axis):
    """A policy gradient by a distribution that divides the probabilities by their sum."""

    def loss_of(outputs, actions):
        chosen = torch.distributions.Categorical(outputs.softmax(axis)).log_prob(actions)  # here
        return -(chosen * torch.linspace(-1, 2, len(actions))).mean()

    return trained(loss_of)


def test_a_distribution_of_a_softmax_over_the_batch(caught):
    finding, _ = caught(RULE, policy(0))
    assert finding.evidence == {"axis of the softmax": 0, "axis of the classes": 1}


def test_a_distribution_of_a_softmax_over_the_classes_is_right():
    assert not torchproof.prove(policy(-1), rules=[RULE]).findings
