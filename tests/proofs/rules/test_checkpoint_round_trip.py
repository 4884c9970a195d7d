"""Bugs of the class `checkpoint-round-trip`; the marked line is where it shows."""

import lookalikes
import pytest
import torch
import zoo
from torch import nn

import torchproof


RULE = "checkpoint-round-trip"


class Centred(nn.Module):
    """Subtracts a running mean that it keeps somewhere."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.mean = torch.zeros(4)

    def forward(self, x):  # here
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        return self.head(x - self.mean)


def test_a_running_mean_in_a_plain_attribute(caught):
    finding, line = caught(RULE, lambda: zoo.classifier(Centred(), zoo.classes(4)))
    assert line.strip() == "def forward(self, x):  # here"
    assert "mean of it is not in the state_dict" in finding.message
    assert finding.remedy.startswith('self.register_buffer("mean"')


def test_random_features_in_a_plain_attribute(caught):
    class Fourier(nn.Module):
        def __init__(self):
            super().__init__()
            self.waves, self.head = torch.randn(4, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.head((x @ self.waves).sin())

    finding, _ = caught(RULE, lambda: zoo.classifier(Fourier(), zoo.classes(4)))
    assert finding.evidence["missing"] == ["waves"]


def test_a_buffer_that_is_not_persistent(caught):
    class Sampled(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("order", torch.randperm(4), persistent=False)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(x[:, self.order])

    finding, _ = caught(RULE, lambda: zoo.classifier(Sampled(), zoo.classes(4)))
    assert finding.evidence["missing"] == ["order"]


def test_a_layer_in_a_list_that_is_not_registered(caught):
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.head = [nn.Linear(4, 4)], nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.first[0](x))

    def build():
        model = Hidden()
        learning = [*model.parameters(), *model.first[0].parameters()]
        return zoo.classifier(model, zoo.classes(4), torch.optim.Adam(learning))

    caught(RULE, build)


def test_layers_that_training_adds(caught):
    def build():
        model = zoo.mlp()
        trainee = zoo.classifier(model, zoo.classes(4))
        inner = trainee.step

        def step(batch):
            loss = inner(batch)
            model.append(nn.Linear(3, 3))
            return loss

        trainee.step = step
        return trainee

    finding, _ = caught(RULE, build)
    assert "does not fit a fresh one" in finding.message


def test_a_tie_that_training_breaks(caught):
    def build():
        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
                self.second.weight = self.first.weight

            def forward(self, x):
                if self.training:
                    self.second.weight = nn.Parameter(self.first.weight.detach().clone())
                return self.second(self.first(x).tanh())

        return zoo.classifier(Tied(), zoo.classes(4, n=4))

    finding, _ = caught(RULE, build)
    assert "first.weight, second.weight" in finding.message


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lookalikes.averaged_weights_for_predicting, "other weights than the state_dict"),
        (zoo.gan_whose_generator_waits, "there are several models"),
    ],
)
def test_what_cannot_be_judged_is_skipped(build, why):
    assert why in torchproof.prove(build, rules=[RULE]).skipped[RULE]


def test_a_statistic_in_the_users_own_predict_is_not_judged():
    def build():
        trainee = zoo.plain_mlp()
        shift, inner, model = [0.0], trainee.step, trainee.model

        def step(batch):
            shift[0] += float(batch["x"].mean())
            return inner(batch)

        def predict(batch):
            model.eval()
            return model(batch["x"] - shift[0]).detach()

        return torchproof.Trainee(model, trainee.batch, step, predict=predict)

    proof = torchproof.prove(build, rules=[RULE])
    assert "outside the trainee's models" in proof.skipped[RULE]


@pytest.mark.parametrize(
    "build",
    [
        zoo.batch_norm_cnn,
        zoo.tied_autoencoder_with_checkpointing,
        zoo.parametrized_weights,
        lookalikes.random_features_in_a_buffer,
        lookalikes.reader_with_a_hidden_state,
    ],
)
def test_models_that_come_back_whole_are_silent(build):
    proof = torchproof.prove(build, rules=[RULE])
    assert not proof.findings
    assert not proof.skipped
