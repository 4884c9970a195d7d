"""Bugs of the class `evaluation-is-a-no-op`."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "evaluation-is-a-no-op"


def trained(model, predict=None, **options):
    """A trainee whose step trusts the model's mode, as many do."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, zoo.classes(4), step, predict=predict, **options)


def with_batch_norm():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))


def test_train_mode_not_restored(caught):
    def build():
        model = zoo.mlp()

        def predict(batch):  # here
            model.eval()
            return model(batch["x"]).detach()

        return trained(model, predict)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert "leaves Sequential, 0, 1, 2 and 1 more in another mode" in finding.message
    assert finding.remedy.startswith("model.train()")


def test_validation_data_in_the_batch_norm_statistics(caught):
    def build():
        model = with_batch_norm()
        return trained(model, lambda batch: model(batch["x"]).detach())

    finding, _ = caught(RULE, build)
    assert "1.running_mean" in finding.message


def test_evaluate_that_updates(caught):
    def build():
        model = zoo.mlp()

        def evaluate(batch):
            F.cross_entropy(model(batch["x"]), batch["y"]).backward()
            with torch.no_grad():
                model[0].bias -= model[0].bias.grad

        return trained(model, evaluate=evaluate)

    finding, _ = caught(RULE, build)
    assert "Evaluating changes 0.bias" in finding.message


def several(restore):
    """Two models and an evaluation, with nothing that says how to predict."""
    body, head = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.4)), nn.Linear(8, 3)
    optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], 0.1)

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(head(body(batch["x"])), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    def evaluate(batch):  # here
        body.eval()
        with torch.no_grad():
            score = F.cross_entropy(head(body(batch["x"])), batch["y"])
        restore(body)
        return score

    return Trainee({"body": body, "head": head}, zoo.classes(4), step, evaluate=evaluate)


def test_an_evaluation_where_nothing_is_predicted(caught):
    finding, line = caught(RULE, lambda: several(lambda _: None))
    assert line.endswith("# here")
    assert "in another mode" in finding.message
    assert not torchproof.prove(lambda: several(nn.Module.train), rules=[RULE]).findings


def test_hidden_state_carried_over(caught):
    class Remembers(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.GRUCell(4, 8), nn.Linear(8, 3)
            self.state = None

        def forward(self, x):
            self.state = self.cell(x, self.state).detach() if self.state is None else self.state
            self.state = self.cell(x, self.state.detach())
            return self.head(self.state)

    finding, _ = caught(RULE, lambda: trained(Remembers()))
    assert "Evaluating changes the attribute state" in finding.message


def test_dropout_switched_off_for_ever(caught):
    class Net(nn.Sequential):
        def train(self, mode=True):  # noqa: FBT002 - as torch has it
            if not mode:
                self[2].p = 0.0
            return super().train(mode)

    finding, _ = caught(RULE, lambda: trained(Net(*zoo.mlp())))
    assert finding.message.startswith("Evaluating changes the attribute 2.p")


def test_gradients_that_an_evaluation_leaves_behind(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        def predict(batch):
            logits = model(batch["x"])
            logits.sum().backward()
            return logits

        return Trainee(model, zoo.classes(4), step, predict=predict)

    finding, _ = caught(RULE, build)
    assert "gradients" in finding.message


def test_a_leaked_no_grad(caught):
    def build():
        model = zoo.mlp()

        def predict(batch):
            torch.no_grad().__enter__()
            return model(batch["x"])

        return trained(model, predict)

    finding, _ = caught(RULE, build)
    assert "the training step fails" in finding.message
    assert torch.is_grad_enabled()


def test_drawing_random_numbers_is_an_evaluations_right():
    def build():
        model = with_batch_norm()

        def predict(batch):
            model.eval()
            logits = model(batch["x"] + torch.randn_like(batch["x"]))
            model.train()
            return logits

        return trained(model, predict)

    assert not torchproof.prove(build, rules=[RULE]).findings


@pytest.mark.parametrize("build", zoo.HEALTHY, ids=lambda build: build.__name__)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
