"""Bugs of the class `pure-prediction`."""

import random

import numpy as np
import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "pure-prediction"


def predicting(predict, model=None):
    model = model or zoo.mlp()
    return pairs.learner(
        model,
        pairs.labelled(4),
        lambda m, b: F.cross_entropy(m(b["x"]), b["y"]),
        predict=predict and (lambda batch: predict(model, batch["x"])),
    )


def test_dropout_that_never_stops(caught):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(F.dropout(x, 0.5))  # here

    finding, line = caught(RULE, lambda: predicting(None, Model()))
    assert line.endswith("# here")
    assert finding.evidence["operation"] == "dropout"


def bernoulli(x):
    return x * x.new_empty(len(x), 1).bernoulli_(0.8) / 0.8  # here


def floored(x):
    mask = (0.8 + torch.rand(len(x), 1)).floor_()  # here
    return x.div(0.8) * mask


def compared(x):
    return x * (torch.rand_like(x) < 0.8).float()  # here


class Residual(nn.Module):
    """A branch whose paths are dropped as ``drop`` does it."""

    def __init__(self, drop):
        super().__init__()
        self.body, self.head, self.drop = nn.Linear(4, 4), nn.Linear(4, 3), drop

    def forward(self, x):
        return self.head(x + self.drop(self.body(x)))


@pytest.mark.parametrize("drop", [bernoulli, floored, compared])
def test_dropout_written_out_that_never_stops(caught, drop):
    _, line = caught(RULE, lambda: predicting(None, Residual(drop)))
    assert line.endswith("# here")


def noise_that_is_added():
    return predicting(None, Residual(lambda x: x + 0.1 * torch.rand_like(x)))


def noise_that_scales():
    return predicting(None, Residual(lambda x: x * (0.5 + torch.rand_like(x))))


def binary_code():
    """Samples bits and reads them, in training as in prediction."""
    return predicting(None, Residual(lambda x: torch.bernoulli(x.sigmoid()) + x - x.detach()))


def test_attention_that_drops_in_eval(caught):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x):
            z = self.body(x)[:, None].expand(-1, 5, -1)
            z = F.scaled_dot_product_attention(z, z, z, dropout_p=0.4)
            return self.head(z.mean(1))

    finding, _ = caught(RULE, lambda: predicting(None, Model()))
    assert "scaled_dot_product_attention" in finding.message


def test_eval_forgotten(caught):
    caught(RULE, lambda: predicting(lambda model, x: model(x).detach()))


def test_state_carried_from_call_to_call(caught):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head, self.state = nn.GRUCell(4, 8), nn.Linear(8, 3), None

        def forward(self, x):
            self.state = self.cell(x, self.state).detach() if not self.training else None
            return self.head(self.cell(x, self.state))

    finding, _ = caught(RULE, lambda: predicting(None, Model()))
    assert "carried over" in finding.message


def test_what_is_carried_from_another_batch(caught):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.last = nn.Linear(8, 3), None

        def forward(self, x):
            before = x if self.last is None else self.last
            self.last = x
            return self.head(torch.cat([before, x], 1))

    caught(RULE, lambda: predicting(None, Model()))


def test_the_batch_changed_in_place(caught):
    finding, _ = caught(RULE, lambda: predicting(lambda m, x: m.eval()(x.div_(255)).detach()))
    assert finding.message == "Predicting changes the batch it is given: x."


@pytest.mark.parametrize(
    "seed",
    [torch.manual_seed, random.seed, np.random.seed],
)
def test_a_seed_set_while_predicting(caught, seed):
    def predict(model, x):
        seed(0)
        with torch.no_grad():
            return model.eval()(x)

    finding, _ = caught(RULE, lambda: predicting(predict))
    assert "seeds" in finding.message


def test_gradients_switched_off_for_ever(caught):
    def build():
        def predict(model, x):
            torch.set_grad_enabled(False)
            return model.eval()(x)

        trainee = predicting(predict)
        inner = trainee.step

        def step(batch):
            with torch.enable_grad():
                return inner(batch)

        trainee.step = step
        return trainee

    finding, _ = caught(RULE, build)
    assert finding.evidence["gradients"] == "True -> False"


def test_another_default_dtype(caught):
    def predict(model, x):
        torch.set_default_dtype(torch.float64)
        return model.eval()(x).detach()

    caught(RULE, lambda: predicting(predict))


def evaluating(evaluate, noisy=lambda x: x):
    """The step gives the model ``noisy`` inputs; ``evaluate`` gets model, inputs and labels."""
    model = zoo.mlp()
    return pairs.learner(
        model,
        pairs.labelled(4),
        lambda m, b: F.cross_entropy(m(noisy(b["x"])), b["y"]),
        evaluate=lambda batch: evaluate(model.eval(), batch["x"], batch["y"]),
    )


def seeding(model, x, y):
    torch.manual_seed(0)
    return F.cross_entropy(model(x + torch.randn_like(x)), y)


def in_float64_for_ever(model, x, y):
    torch.set_default_dtype(torch.float64)
    return F.cross_entropy(model(x), y)


def in_place(model, x, y):
    return F.cross_entropy(model(x.mul_(2)), y)


@pytest.mark.parametrize(
    ("evaluate", "sentence"),
    [
        (seeding, "Evaluating seeds torch"),
        (in_float64_for_ever, "Evaluating leaves a switch of torch in another position"),
        (in_place, "Evaluating changes the batch it is given: x."),
    ],
)
def test_an_evaluation_that_leaves_something_behind(caught, evaluate, sentence):
    finding, _ = caught(RULE, lambda: evaluating(evaluate))
    assert finding.message.startswith(sentence)


def test_the_augmentation_of_training_while_evaluating(caught):
    def evaluate(model, x, y):
        return F.cross_entropy(model(jittered(x)), y)

    _, line = caught(RULE, lambda: evaluating(evaluate, jittered))
    assert line.endswith("# here")


def evaluated_without_noise():
    return evaluating(lambda model, x, y: F.cross_entropy(model(x), y), jittered)


def evaluated_with_a_generator_of_its_own():
    def evaluate(model, x, y):
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        return F.cross_entropy(model(x + noise), y)

    return evaluating(evaluate)


def test_taking_the_labels_out_is_no_change():
    def build():
        trainee = predicting(None)
        model = trainee.model

        def predict(batch):
            batch.pop("y")
            return model.eval()(input=batch["x"]).detach()

        trainee.predict = predict
        return trainee

    assert not torchproof.prove(build, rules=[RULE]).findings


def augmented(predict, *, noisy):
    """The step gives the model ``noisy`` inputs."""
    model = zoo.mlp()

    def loss_of(model, batch):
        return F.cross_entropy(model(noisy(batch["x"])), batch["y"])

    return pairs.learner(
        model,
        pairs.labelled(4),
        loss_of,
        predict=lambda batch: predict(model.eval(), noisy, batch["x"]).detach(),
    )


def jittered(x):
    return x + 0.1 * torch.randn_like(x)  # here


def turned(x):
    return x.flip(1) if torch.rand(1) < 0.5 else x  # here


@pytest.mark.parametrize("noisy", [jittered, turned])
def test_the_augmentation_of_training_while_predicting(caught, noisy):
    _, line = caught(RULE, lambda: augmented(lambda model, noisy, x: model(noisy(x)), noisy=noisy))
    assert line.endswith("# here")


def augmented_in_training_only():
    return augmented(lambda model, noisy, x: model(x), noisy=jittered)


def mean_over_augmented_inputs():
    return augmented(
        lambda model, noisy, x: (model(noisy(x)) + model(noisy(x))) / 2, noisy=jittered
    )


def noise_beside_the_input():
    """An implicit model: noise is one of its inputs, in training as in prediction."""
    model = nn.Linear(5, 3)

    def logits(batch):
        return model(torch.cat([batch["x"], torch.randn(len(batch["x"]), 1)], 1))

    return pairs.learner(
        model,
        pairs.labelled(4),
        lambda _, batch: F.cross_entropy(logits(batch), batch["y"]),
        predict=lambda batch: logits(batch).detach(),
    )


def denoising():
    """The noise is the task; the data are their own labels."""
    model, x = nn.Linear(4, 4), torch.randn(6, 4)

    def cleaned(batch):
        return model(jittered(batch["x"]))

    return pairs.learner(
        model,
        {"x": x, "y": x.clone()},
        lambda _, batch: F.mse_loss(cleaned(batch), batch["y"]),
        predict=lambda batch: cleaned(batch).detach(),
    )


def denoising_for_a_class():
    """The labels say what is wanted, and the loss reads the noise."""
    model, embed = nn.Linear(4, 4), nn.Embedding(3, 4)

    def cleaned(batch):
        return model(jittered(batch["x"])) + embed(batch["y"])

    return pairs.learner(
        nn.ModuleList([model, embed]),
        pairs.labelled(4),
        lambda _, batch: F.mse_loss(cleaned(batch), batch["x"]),
        predict=lambda batch: cleaned(batch).detach(),
    )


def test_monte_carlo_dropout_is_warned():
    (finding,) = torchproof.prove(pairs.monte_carlo_dropout, rules=[RULE]).findings
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    "build",
    [
        augmented_in_training_only,
        noise_that_is_added,
        noise_that_scales,
        binary_code,
        evaluated_without_noise,
        evaluated_with_a_generator_of_its_own,
        mean_over_augmented_inputs,
        noise_beside_the_input,
        denoising,
        denoising_for_a_class,
        pairs.autoencoder_that_samples,
        pairs.sampler_with_a_generator_of_its_own,
        pairs.sampling_that_puts_the_seed_back,
        pairs.generator_of_noise,
        zoo.transformer_encoder,
        zoo.lstm_over_sequences,
        zoo.parametrized_weights,
    ],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
