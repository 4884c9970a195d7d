"""Bugs of the class `training-mode`; the marked line is where it shows."""

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "training-mode"


def net():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3))


def program(model, before=lambda: None, after=lambda: None, optimizer=None):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), 0.1)

    def step(batch):
        before()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])  # here
        loss.backward()
        optimizer.step()
        after()
        return loss

    return Trainee(model, zoo.classes(4), step)


def test_a_model_that_comes_in_evaluation_mode(caught):
    finding, line = caught(RULE, lambda: program(net().eval()))
    assert line.endswith("# here")
    assert "BatchNorm1d, Dropout do nothing" in finding.message


def test_eval_where_train_was_meant(caught):
    def build():
        model = zoo.mlp()
        return program(model, before=model.eval)

    caught(RULE, build)


def test_an_evaluation_inside_the_step_that_leaves_its_mode(caught):
    def build():
        model = net()
        return program(model, after=model.eval)

    finding, _ = caught(RULE, build)
    assert finding.evidence == {"modules": 2, "first call in another mode": 1}


def test_dropout_switched_off_for_ever(caught):
    def build():
        model = net()

        def off():
            model[2].p = 0.0

        return program(model, after=off)

    finding, _ = caught(RULE, build)
    assert finding.message.startswith("2 train in the first call")


def test_a_recurrent_layer_in_evaluation_mode(caught):
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(4, 8, num_layers=2, dropout=0.2, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.lstm(x[:, None])[0][:, -1])

    caught(RULE, lambda: program(Reader().eval()))


def test_frozen_batch_norm_is_right():
    def build():
        model = net()
        return program(model, before=lambda: (model.train(), model[1].eval()))

    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_judge_in_evaluation_mode_is_right():
    assert not torchproof.prove(zoo.perceptual_loss_by_a_fixed_network, rules=[RULE]).findings


def test_an_evaluation_within_the_step_that_restores_its_mode_is_right():
    def build():
        model = net()
        batch = torch.randn(6, 4)

        def evaluate():
            model.eval()
            with torch.no_grad():
                model(batch)
            model.train()

        return program(model, after=evaluate)

    assert not torchproof.prove(build, rules=[RULE]).findings
