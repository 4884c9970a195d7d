"""Bugs of the class `trained-prediction`."""

import copy

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof


RULE = "trained-prediction"


def with_copy(renew, model=None, answer=lambda logits: logits):
    """Predict with a copy; ``renew(copy, model, count)`` is called in every step."""
    model = model or zoo.mlp()
    kept, calls = copy.deepcopy(model), []

    def loss_of(model, batch):
        calls.append(None)
        renew(kept, model, len(calls))
        return F.cross_entropy(model(batch["x"]), batch["y"])

    def predict(batch):  # here
        with torch.no_grad():
            return answer(kept.eval()(batch["x"]))

    return pairs.learner(model, pairs.labelled(4), loss_of, predict=predict)


def test_a_copy_made_before_training(caught):
    finding, line = caught(RULE, lambda: with_copy(lambda *_: None))
    assert line.endswith("# here")
    assert finding.evidence["largest change"] == 0.0


def test_weights_of_another_model(caught):
    def build():
        trainee, other = pairs.head_of_zeros(), zoo.mlp().eval()
        trainee.predict = lambda batch: other(batch["x"]).detach()
        return trainee

    caught(RULE, build)


def test_classes_of_a_stale_copy(caught):
    caught(RULE, lambda: with_copy(lambda *_: None, answer=lambda logits: logits.argmax(1)))


def test_classes_without_a_module_are_not_judged():
    def build():
        trainee = with_copy(lambda *_: None)
        trainee.predict = lambda batch: batch["x"].argmax(1)
        return trainee

    assert torchproof.prove(build, rules=[RULE]).skipped


def beside_the_model(renew, predictor="kept"):
    """The copy is one of the trainee's models."""
    trained, calls = zoo.mlp(), []
    models = {"trained": trained, "kept": copy.deepcopy(trained)}
    optimizer = torch.optim.Adam(trained.parameters(), 1e-2)

    def step(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(trained(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        calls.append(None)
        renew(models["kept"], trained, len(calls))
        return loss

    def predict(batch):  # here
        with torch.no_grad():
            return models[predictor].eval()(batch["x"])

    return torchproof.Trainee(models, pairs.labelled(4), step, predict=predict)


def averaged(old, new, _, share=0.1):
    with torch.no_grad():
        for mine, theirs in zip(old.parameters(), new.parameters()):
            mine.mul_(1 - share).add_(theirs, alpha=share)


def never(*_):
    pass


def with_itself(old, _, count):
    averaged(old, old, count)


@pytest.mark.parametrize("renew", [never, with_itself])
def test_a_copy_among_the_models_that_training_does_not_reach(caught, renew):
    finding, line = caught(RULE, lambda: beside_the_model(renew))
    assert line.endswith("# here")
    assert "copies of trained weights" in finding.message


def average_among_the_models():
    return beside_the_model(averaged)


def target_renewed_now_and_then():
    def renew(old, new, count):
        if count % 30 == 0:
            old.load_state_dict(new.state_dict())

    return beside_the_model(renew)


def reference_beside_the_one_that_predicts():
    return beside_the_model(never, predictor="trained")


def generator_that_this_step_leaves_alone():
    """Only the critic is trained; what is predicted is no copy of it."""
    trainee = beside_the_model(never)
    trainee.models["kept"].load_state_dict(zoo.mlp().state_dict())
    return trainee


def moving_average():
    def renew(kept, model, _):
        with torch.no_grad():
            for old, new in zip(kept.parameters(), model.parameters()):
                old.lerp_(new, 0.01)

    return with_copy(renew)


def copy_renewed_now_and_then():
    def renew(kept, model, count):
        if count % 20 == 0:
            kept.load_state_dict(model.state_dict())

    return with_copy(renew)


def averaged_by_torch(*, each_epoch=False):
    model = zoo.mlp()
    average = torch.optim.swa_utils.AveragedModel(model)

    def loss_of(model, batch):
        if not each_epoch:
            average.update_parameters(model)
        return F.cross_entropy(model(batch["x"]), batch["y"])

    return pairs.learner(
        model,
        pairs.labelled(4),
        loss_of,
        predict=lambda batch: average.eval()(batch["x"]).detach(),
    )


@pytest.mark.parametrize(
    "build",
    [
        moving_average,
        copy_renewed_now_and_then,
        averaged_by_torch,
        average_among_the_models,
        target_renewed_now_and_then,
        reference_beside_the_one_that_predicts,
        generator_that_this_step_leaves_alone,
        pairs.generator_of_noise,
        pairs.monte_carlo_dropout,
        zoo.moving_average_teacher,
        zoo.gan_with_two_optimizers,
        zoo.warm_up_from_zero,
    ],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_an_average_that_an_epoch_renews_is_not_judged():
    proof = torchproof.prove(lambda: averaged_by_torch(each_epoch=True), rules=[RULE])
    assert "AveragedModel" in proof.skipped[RULE]
