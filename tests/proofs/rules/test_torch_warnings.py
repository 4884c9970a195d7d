"""Warnings of torch that `torch-warnings` brings up."""

import warnings

import lookalikes
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn
from torch.utils.checkpoint import checkpoint

import torchproof


RULE = "torch-warnings"


def sizes(model, batch):
    return F.mse_loss(model(batch["x"]), batch["y"])


def no_axis(model, batch):
    return F.softmax(model(batch["x"])).pow(2).sum()


def mean_of_a_divergence(model, batch):
    return F.kl_div(model(batch["x"]).log_softmax(1), torch.full((6, 1), 1.0))


def nothing_to_differentiate(model, batch):
    return checkpoint(model, batch["x"], use_reentrant=True).sum() * model[0].weight.sum()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("loss", [sizes, no_axis, mean_of_a_divergence, nothing_to_differentiate])
def test_what_torch_warns_about_is_reported(loss):
    def build():
        return lookalikes.trained_with(loss, zoo.mlp(4, 1), zoo.numbers(4))

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"
    assert finding.message.startswith("torch warns: ")
    assert finding.evidence["times"] == 3
    assert "test_torch_warnings.py:" in finding.location


def test_other_warnings_are_the_users_own():
    def loss(model, batch):
        warnings.warn("the disk is nearly full", stacklevel=1)
        return F.cross_entropy(model(batch["x"]), batch["y"])

    with pytest.warns(UserWarning, match="disk"):
        proof = torchproof.prove(lambda: lookalikes.trained_with(loss), rules=[RULE])
    assert not proof.findings


def test_warnings_turned_into_errors_are_not_raised_by_watching():
    model_of = nn.Linear
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proof = torchproof.prove(
            lambda: zoo.classifier(model_of(4, 3), zoo.classes(4)), rules=[RULE]
        )
    assert not proof.findings


def test_each_warning_is_shown_once():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        torchproof.prove(lambda: lookalikes.trained_with(sizes, zoo.mlp(4, 1), zoo.numbers(4)))
    told = [(str(each.message), each.lineno) for each in shown]
    assert any("target size" in text for text, _ in told)
    assert len(told) == len(set(told))
