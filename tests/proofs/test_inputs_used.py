"""Bugs of the class `inputs-used`."""

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "inputs-used"


def fed(given, model=None):
    def loss_of(model, batch):
        return F.cross_entropy(model(given(batch)), batch["y"])

    return pairs.learner(model or zoo.mlp(), pairs.labelled(4), loss_of)


def test_inputs_times_nothing(caught):
    finding, _ = caught(RULE, lambda: fed(lambda batch: batch["x"] * 0))
    assert finding.evidence["largest change"] == 0.0


def test_a_variable_of_another_scope(caught):
    def build():
        x = torch.randn(6, 4)
        return fed(lambda batch: x)

    caught(RULE, build)


def test_a_forward_that_goes_on_with_the_wrong_variable(caught):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.body, self.head = (
                nn.Parameter(torch.randn(1, 8)),
                nn.Linear(4, 8),
                nn.Linear(8, 3),
            )

        def forward(self, x):
            z = self.body(x)
            z = self.query.expand(len(x), -1)
            return self.head(z.relu())

    caught(RULE, lambda: fed(lambda batch: batch["x"], Model()))


def test_a_predict_that_ignores_its_batch(caught):
    def build():
        trainee = fed(lambda batch: batch["x"])
        model, x = trainee.model.eval(), trainee.batch["x"]
        trainee.predict = lambda batch: model.eval()(x).detach()  # here
        return trainee

    _, line = caught(RULE, build)
    assert line.endswith("# here")


@pytest.mark.parametrize(
    "build",
    [
        pairs.head_of_zeros,
        pairs.dead_units,
        pairs.generator_of_noise,
        pairs.diffusion_for_a_class,
        zoo.warm_up_from_zero,
        zoo.evaluation_that_restores_everything,
        zoo.mixture_of_experts,
    ],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
