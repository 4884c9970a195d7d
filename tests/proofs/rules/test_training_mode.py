"""Bugs of the class `training-mode`; the marked line is where it shows."""

import pytest
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


class Written(nn.Module):
    """Its dropout is a function and no module."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(F.dropout(x, 0.2, self.training))


def test_a_model_of_functions_in_evaluation_mode(caught):
    finding, _ = caught(RULE, lambda: program(Written().eval()))
    assert "Written do nothing" in finding.message


def test_a_model_of_functions_that_stays_in_evaluation_mode(caught):
    def build():
        model = Written()
        return program(model, after=model.eval)

    finding, _ = caught(RULE, build)
    assert finding.evidence["first call in another mode"] == 1


def test_a_mode_that_makes_no_difference_is_right():
    build = lambda: program(nn.Linear(4, 3).eval())  # noqa: E731 - a program of one line
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_pass_that_nothing_is_learned_from_is_right():
    def build():
        model, batch = net(), torch.randn(6, 4)

        def evaluate():
            model.eval()
            model(batch).sum().item()
            model.train()

        return program(model, after=evaluate)

    assert not torchproof.prove(build, rules=[RULE]).findings


def fine_tuned(prepare):
    """A body that was looked at before the head came to it."""
    body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
    body.eval()
    prepare(body)
    return program(nn.Sequential(body, nn.Dropout(0.1), nn.Linear(8, 3)))


def test_a_body_left_in_evaluation_mode_by_statistics_never_taken(caught):
    finding, line = caught(RULE, lambda: fine_tuned(lambda _: None))
    assert line.endswith("# here")
    assert finding.message.startswith("0.1 learn")


def statistics_worth_keeping():
    return fine_tuned(lambda body: body[1].running_mean.copy_(torch.ones(8)))


def a_frozen_body():
    return fine_tuned(lambda body: body.requires_grad_(requires_grad=False))


def batch_norm_alone_in_evaluation_mode():
    return fine_tuned(lambda body: (body.train(), body[1].eval()))


def a_body_that_a_line_of_the_step_keeps_so():
    body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
    model = nn.Sequential(body, nn.Linear(8, 3))
    body.eval()
    return program(model, before=body.eval)


def a_body_that_its_model_keeps_so():
    class Model(nn.Sequential):
        def train(self, mode=True):  # noqa: FBT002 - torch's signature
            super().train(mode)
            self[0].eval()
            return self

    body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
    return program(Model(body, nn.Dropout(0.1), nn.Linear(8, 3)).train())


@pytest.mark.parametrize(
    "build",
    [
        statistics_worth_keeping,
        a_frozen_body,
        batch_norm_alone_in_evaluation_mode,
        a_body_that_a_line_of_the_step_keeps_so,
        a_body_that_its_model_keeps_so,
    ],
)
def test_a_body_meant_to_be_in_evaluation_mode(build):
    assert torchproof.prove(build, rules=[RULE]).passed


def test_a_generator_left_in_evaluation_mode(caught):
    def build():
        maker = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)).eval()
        judge = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 1))
        optimizer = torch.optim.SGD([*maker.parameters(), *judge.parameters()], 0.1)

        def step(batch):
            optimizer.zero_grad()
            loss = F.softplus(judge(maker(batch["x"][:, :2]))).mean()
            loss.backward()
            optimizer.step()
            return loss

        return Trainee({"maker": maker, "judge": judge}, zoo.classes(4), step)

    caught(RULE, build)


def in_parts(after, dropout=0.3):
    """A model whose ``loss`` calls its layers, so that it is never called itself."""

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)
            self.drop = nn.Dropout(dropout)

        def loss(self, batch):
            return F.cross_entropy(self.last(self.drop(self.first(batch["x"]))), batch["y"])

    model = Reader()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(batch):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
        after(model)
        return loss

    return Trainee(model, zoo.classes(4), step)


def no_dropout(model):
    model.drop.p = 0.0


@pytest.mark.parametrize("after", [nn.Module.eval, no_dropout])
def test_parts_called_one_by_one_that_lose_their_mode(caught, after):
    finding, _ = caught(RULE, lambda: in_parts(after))
    assert finding.message.startswith("drop train in the first call")


@pytest.mark.parametrize("after", [nn.Module.train, lambda model: model.first.eval()])
def test_parts_called_one_by_one_that_keep_it(after):
    assert not torchproof.prove(lambda: in_parts(after), rules=[RULE]).findings


def test_the_only_dropout_switched_off(caught):
    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 3))
        return program(model, after=lambda: setattr(model[1], "p", 0.0))

    caught(RULE, build)


def test_models_that_take_turns_are_right():
    def build():
        models = nn.ModuleList([nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.2)) for _ in range(2)])
        optimizer = torch.optim.SGD(models.parameters(), 0.1)
        calls = []

        def step(batch):
            for place, model in enumerate(models):
                model.train(len(calls) % 2 == place)
            loss = F.cross_entropy(models[len(calls) % 2](batch["x"]), batch["y"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            calls.append(loss)
            return loss

        return Trainee(models, zoo.classes(4), step)

    assert not torchproof.prove(build, rules=[RULE]).findings
