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


def classes_of(model, x):
    with torch.no_grad():
        return model.eval()(x).argmax(1)


def sure_of_itself(model):
    """A model of which no dropout changes the class."""
    head = model.head
    head.weight.data.mul_(1e-3)
    head.bias.data.copy_(torch.tensor([9.0, 0.0, 0.0]))
    return model


def test_dropout_behind_a_class_that_does_not_change(caught):
    finding, _ = caught(
        RULE, lambda: predicting(classes_of, sure_of_itself(Residual(lambda x: F.dropout(x, 0.5))))
    )
    assert "Dropout is active" in finding.message


def test_state_carried_behind_a_class_that_does_not_change(caught):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.last = nn.Linear(4, 3), None

        def forward(self, x):
            self.last = x if self.last is None or self.training else self.last + x
            return self.head(self.last)

    finding, _ = caught(RULE, lambda: predicting(classes_of, sure_of_itself(Model())))
    assert "carried over" in finding.message


def traced(mode):
    """Predict with a trace, which keeps the mode that the model was in."""
    model = zoo.mlp().train(mode)
    trace = torch.jit.trace(model, torch.randn(2, 4), check_trace=False)
    trace.eval()
    return predicting(lambda _, x: trace(x).detach(), model)


def test_dropout_that_a_trace_has_fixed(caught):
    finding, _ = caught(RULE, lambda: traced(mode=True))
    assert finding.evidence["operation"] == "dropout"


def traced_in_evaluation_mode():
    return traced(mode=False)


class Noisy(nn.Module):
    """``change`` is made to the inputs in both modes, or to what was learned of them."""

    def __init__(self, change, *, hidden=False, normal=lambda x: x):
        super().__init__()
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        self.change, self.hidden, self.normal = change, hidden, normal

    def forward(self, x):
        x = self.normal(x)
        x = self.body(x) if self.hidden else x
        return self.head(self.change(x))


@pytest.mark.parametrize("normal", [lambda x: x, lambda x: (x - torch.ones(4)) / 2])
@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + 0.1 * torch.randn_like(x),
        lambda x: x * (1 + 0.1 * torch.rand(len(x), 1)),
    ],
)
@pytest.mark.parametrize("predict", [None, classes_of])
def test_noise_on_the_inputs_that_never_stops(caught, change, normal, predict):
    finding, line = caught(RULE, lambda: predicting(predict, Noisy(change, normal=normal)))
    assert "inputs by noise" in finding.message
    assert "torch.rand" in line


class Reader(nn.Module):
    """Reads tokens, of which ``drop`` hides some in both modes."""

    def __init__(self, drop):
        super().__init__()
        self.embed, self.head, self.drop = nn.EmbeddingBag(9, 4), nn.Linear(4, 3), drop

    def forward(self, ids):
        return self.head(self.embed(self.drop(ids)))


def reading(drop, labels):
    model = Reader(drop)

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"]), batch["y"].view(6, -1)[:, 0])

    ids = torch.tensor([[0, 1], [1, 2], [2, 0], [1, 1], [0, 0], [2, 2]])
    return pairs.learner(model, {"x": ids, "y": labels(ids)}, loss_of)


def hidden(ids):
    return ids.masked_fill(torch.rand(ids.shape) < 0.3, 8)  # here


def test_words_dropped_for_ever(caught):
    _, line = caught(RULE, lambda: reading(hidden, lambda ids: ids.sum(1) % 3))
    assert line.endswith("# here")


def words_to_be_guessed():
    return reading(hidden, torch.clone)


def noise_on_what_was_learned():
    return predicting(None, Noisy(lambda x: x + 0.1 * torch.randn_like(x), hidden=True))


def noise_of_a_learned_size():
    size = nn.Parameter(torch.tensor(0.1))
    model = Noisy(lambda x: x + size * torch.randn_like(x))
    model.size = size
    return predicting(None, model)


def spikes():
    """A rate code: the inputs are probabilities."""
    return predicting(None, Noisy(lambda x: (torch.rand_like(x) < x.sigmoid()).float()))


def smoothed():
    """The mean over noise on the input, several times or for several copies of it."""

    def change(x):
        return sum(x + 0.1 * torch.randn_like(x) for _ in range(4)) / 4

    return predicting(None, Noisy(change))


def smoothed_at_once():
    def change(x):
        copies = x.expand(4, *x.shape)
        return (copies + 0.1 * torch.randn_like(copies)).mean(0)

    return predicting(None, Noisy(change))


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


def noisy_crop(x):
    start = int(torch.randint(0, 5, ()))
    return x[:, start : start + 4] + 0.1 * torch.randn_like(x[:, :4])  # here


def some_points(x):
    places = torch.randint(0, 8, (4,))
    return F.normalize(x[:, places] - x[:, places].mean(1, keepdim=True), dim=2)


def evaluating_parts(evaluate, part):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    return pairs.learner(
        model,
        pairs.labelled(8, 3),
        lambda m, b: F.cross_entropy(m(part(b["x"])), b["y"]),
        evaluate=lambda batch: evaluate(model, part, batch).detach(),
    )


def evaluated_as_trained(model, part, batch):
    return F.cross_entropy(model(part(batch["x"])), batch["y"])


def test_a_noisy_crop_while_evaluating(caught):
    finding, _ = caught(RULE, lambda: evaluating_parts(evaluated_as_trained, noisy_crop))
    assert "augmentation of training is active" in finding.message


def over_two_views(model, part, batch):
    logits = model(torch.cat([part(batch["x"]), part(batch["x"])]))
    return F.cross_entropy(logits, batch["y"].repeat(2))


def of_the_middle(model, _, batch):
    return F.cross_entropy(model(batch["x"][:, 2:6]), batch["y"])


@pytest.mark.parametrize(
    ("evaluate", "part"),
    [
        (over_two_views, noisy_crop),
        (of_the_middle, noisy_crop),
        (evaluated_as_trained, some_points),
    ],
)
def test_parts_that_an_evaluation_may_be_of(evaluate, part):
    assert not torchproof.prove(lambda: evaluating_parts(evaluate, part), rules=[RULE]).findings


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


def cropped(predict):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))

    def random_crop(x):
        start = int(torch.randint(0, 5, ()))
        return x[:, start : start + 4]

    return pairs.learner(
        model,
        pairs.labelled(8, 3),
        lambda m, b: F.cross_entropy(m(random_crop(b["x"])), b["y"]),
        predict=lambda batch: predict(model, batch["x"], random_crop).detach(),
    )


def test_a_random_crop_while_predicting(caught):
    finding, _ = caught(RULE, lambda: cropped(lambda model, x, crop: model(crop(x))))
    assert "augmentation of training is active" in finding.message


def the_middle(model, x, _):
    return model(x[:, 2:6])


def the_mean_over_two_crops(model, x, crop):
    return (model(crop(x)) + model(crop(x))) / 2


@pytest.mark.parametrize("predict", [the_middle, the_mean_over_two_crops])
def test_no_random_crop_of_training_while_predicting(predict):
    assert not torchproof.prove(lambda: cropped(predict), rules=[RULE]).findings
