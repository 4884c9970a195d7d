"""Bugs of the class `batch-independence`."""

import pytest
import torch
import zoo
from torch import nn

import torchproof


RULE = "batch-independence"


class Model(nn.Module):
    """A small network whose forward pass is given."""

    def __init__(self, body):
        super().__init__()
        self.first, self.head, self.body = nn.Linear(4, 8), nn.Linear(8, 3), body

    def forward(self, x):
        return self.head(self.body(self.first(x)))


def test_view_instead_of_transpose(caught):
    def mix(z):
        return z.view(z.shape[1], z.shape[0], 8).transpose(0, 1).mean(1)  # here

    finding, line = caught(RULE, lambda: zoo.classifier(Model(mix), zoo.classes(5, 4)))
    assert line.endswith("# here")
    assert finding.evidence["largest change"] > 1e-3
    assert "for the first row" in finding.message


def test_batch_first_forgotten(caught):
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.head = nn.GRU(4, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.gru(x)[0][:, -1])

    finding, _ = caught(RULE, lambda: zoo.classifier(Reader(), zoo.classes(5, 4)))
    assert finding.evidence["row"] == "last"  # the first row of a causal scan sees no other


def test_statistics_of_the_batch_in_a_norm_of_ones_own(caught):
    caught(RULE, lambda: zoo.classifier(Model(lambda z: z - z.mean(0)), zoo.classes(4)))


def test_batch_norm_without_running_statistics(caught):
    norm = nn.BatchNorm1d(8, affine=False, track_running_stats=False)
    caught(RULE, lambda: zoo.classifier(Model(norm), zoo.classes(4)))


def test_a_neighbours_row(caught):
    caught(RULE, lambda: zoo.classifier(Model(lambda z: z + z.roll(1, 0)), zoo.classes(4)))


def test_predicting_in_training_mode(caught):
    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))

        def predict(batch):
            return model(batch["x"]).detach()  # here

        return zoo.classifier(model, zoo.classes(4), predict=predict)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert finding.evidence["first seen in"] == "batch_norm"


def test_rounding_that_other_rows_cause_is_no_dependency():
    def cancel(z):
        return (z + z.detach().sum()) - z.detach().sum()

    proof = torchproof.prove(lambda: zoo.classifier(Model(cancel), zoo.classes(4)), rules=[RULE])
    assert not proof.findings
    assert not proof.skipped


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        ({"x": torch.ones(6, 4), "edges": torch.zeros(2, 9)}, "do not share a batch dimension"),
        ({"x": torch.ones(1, 4), "y": torch.zeros(1).long()}, "one row"),
        ({"x": torch.ones(6, 4), "y": torch.zeros(6), "a": torch.eye(6)}, "between rows"),
    ],
)
def test_what_cannot_be_judged_is_skipped(batch, why):
    def build():
        model = nn.Linear(4, 1)

        def step(batch):
            return model(batch["x"]).sum()

        return torchproof.Trainee(model, batch, step, predict=lambda batch: model(batch["x"]))

    assert why in torchproof.prove(build, rules=[RULE]).skipped[RULE]


@pytest.mark.parametrize("build", zoo.HEALTHY, ids=lambda build: build.__name__)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
