"""Single-batch overfit: what fails is exact."""

import math
import re

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof
from torchproof import Trainee


def classifier(labels=lambda batch: batch["y"], rate=0.05, sign=1, predict=None):
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.Adam(model.parameters(), rate)

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), labels(batch))
        (sign * loss).backward()
        optimizer.step()
        return loss

    batch = {"x": torch.eye(4)[:3], "y": torch.tensor([0, 1, 2])}
    return Trainee(model, batch, step, predict=predict and (lambda batch: predict(model, batch)))


def test_a_right_program_converges_and_says_how_fast():
    result = torchproof.overfit(classifier, steps=100)
    assert result.converged
    assert not result.reason
    assert len(result.curve) == 100
    assert 1 < result.steps < 100


def test_it_stops_as_soon_as_the_loss_is_low_enough():
    result = torchproof.overfit(classifier, loss_below=0.5)
    assert result.converged
    assert result.steps == len(result.curve) < 100
    assert result.curve[-1] < 0.5 <= result.curve[-2]


def test_a_target_that_is_not_reached_fails():
    result = torchproof.overfit(classifier, steps=5, loss_below=0.01)
    assert not result.converged
    assert result.reason.startswith("the lowest loss in 5 steps is")


def test_a_loss_that_is_not_finite_names_its_step():
    def build():
        trainee, calls = classifier(), []
        inner = trainee.step
        trainee.step = lambda batch: (
            inner(batch) * (calls.append(None) or math.nan ** (len(calls) > 2))
        )
        return trainee

    result = torchproof.overfit(build, steps=9)
    assert not result.converged
    assert result.reason == "the loss is nan at step 3"
    assert len(result.curve) == 3


def test_parameters_that_do_not_move_fail():
    result = torchproof.overfit(lambda: classifier(rate=0.0), steps=4)
    assert result.reason.startswith("nothing changed in 4 steps; the cause: The learning rate is 0")


def test_walking_uphill_fails():
    result = torchproof.overfit(lambda: classifier(sign=-1), steps=10)
    assert result.reason.startswith("the loss was never below its first value")


def test_learned_and_still_predicted_wrong_fails():
    result = torchproof.overfit(lambda: classifier(labels=lambda batch: (batch["y"] + 1) % 3))
    assert result.reason.endswith("predict gets only 0 of 3 labels right")


def test_a_prediction_of_classes_is_judged_too():
    right = torchproof.overfit(lambda: classifier(predict=lambda m, b: m(b["x"]).argmax(1)))
    wrong = torchproof.overfit(lambda: classifier(predict=lambda m, b: m(b["x"]).argmin(1)))
    assert right.converged
    assert not wrong.converged


def test_a_failure_names_its_cause():
    def build():
        model = torch.nn.Sequential(torch.nn.Linear(4, 1))
        optimizer = torch.optim.SGD(model.parameters(), 0.01)

        def step(batch):
            loss = ((model(batch["x"]) - batch["y"]) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return Trainee(model, zoo.numbers(4), step)

    result = torchproof.overfit(build, steps=50, loss_below=1e-3)
    assert {each.rule for each in result.findings} == {"implicit-broadcast", "stale-gradients"}
    assert "; the cause: " in result.reason
    assert "[implicit-broadcast at " in result.reason


def test_a_step_that_shuffles_inputs_and_labels_together_is_right():
    """What the model saw then lies in another order than the batch's labels."""

    def build():
        model = torch.nn.Linear(8, 8)
        optimizer = torch.optim.Adam(model.parameters(), 0.05)

        def step(batch):
            order = torch.randperm(8)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"][order]), batch["y"][order])
            loss.backward()
            optimizer.step()
            return loss

        return Trainee(model, {"x": torch.eye(8), "y": torch.arange(8)}, step)

    result = torchproof.overfit(build, steps=100)
    assert result.converged, result.reason


@pytest.mark.parametrize("build", zoo.HEALTHY, ids=lambda build: build.__name__)
def test_right_programs_converge(build):
    result = torchproof.overfit(build, steps=40)
    assert result.converged, result.reason


@pytest.mark.parametrize("options", [{"steps": 0}, {"loss_below": math.nan}])
def test_a_wrong_call_is_refused(options):
    with pytest.raises(torchproof.TorchproofError):
        torchproof.overfit(classifier, **options)


def test_what_became_of_it_is_a_sentence():
    learned = str(torchproof.overfit(zoo.plain_mlp, steps=60))
    assert re.fullmatch(r"learned in \d+ steps: the loss went from \S+ to \S+", learned)
    failed = torchproof.overfit(zoo.plain_mlp, steps=3, loss_below=1e-9)
    assert str(failed).startswith(f"not learned in 3 steps: {failed.reason}")
