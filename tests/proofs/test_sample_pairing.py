"""Bugs of the class `sample-pairing`."""

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "sample-pairing"


def classifier(pair, model=None):
    def loss_of(model, batch):
        x, y = pair(batch["x"], batch["y"])
        return F.cross_entropy(model(x), y)  # here

    return pairs.learner(model or zoo.mlp(), pairs.labelled(4), loss_of)


def test_inputs_shuffled_and_labels_not(caught):
    order = torch.tensor([3, 0, 4, 1, 5, 2])
    finding, line = caught(RULE, lambda: classifier(lambda x, y: (x[order], y)))
    assert line.endswith("# here")
    assert finding.evidence["row of the label"] == 0


def test_labels_shuffled_anew_in_each_step(caught):
    caught(RULE, lambda: classifier(lambda x, y: (x, y[torch.randperm(6)])))


def test_labels_off_by_one(caught):
    finding, _ = caught(RULE, lambda: classifier(lambda x, y: (x, y.roll(1))))
    assert finding.evidence["place in the output"] == 1
    assert "The label of row 0 is compared with the prediction for another row" in finding.message


def test_a_batch_norm_does_not_hide_it(caught):
    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
        return classifier(lambda x, y: (x.flip(0), y), model)

    caught(RULE, build)


def test_numbers_sorted_by_themselves(caught):
    def build():
        def loss_of(model, batch):
            return F.mse_loss(model(batch["x"]).squeeze(1), batch["y"].sort().values)

        return pairs.learner(nn.Linear(4, 1), {"x": torch.randn(6, 4), "y": falling()}, loss_of)

    def falling():
        return torch.tensor([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])

    caught(RULE, build)


def test_time_and_rows_flattened_in_another_order(caught):
    def build():
        trainee = pairs.time_before_rows()
        optimizer = torch.optim.Adam(trainee.model.parameters())

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(trainee.model(batch["x"]).flatten(0, 1), batch["y"].flatten())
            loss.backward()
            optimizer.step()
            return loss

        return torchproof.Trainee(trainee.model, trainee.batch, step)

    caught(RULE, build)


def dice(logits, masks):
    shares = logits.sigmoid()
    return 1 - (2 * (shares * masks).sum() + 1) / (shares.sum() + masks.sum() + 1)


def weighted_by_the_batch(logits, masks):
    weight = (1 - masks).sum() / masks.sum()
    return F.binary_cross_entropy_with_logits(logits, masks, pos_weight=weight)


def hard_negatives(logits, masks):
    losses = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return losses[masks > 0].mean() + losses[masks == 0].topk(20).values.mean()


def of_valid_places(values, masks):
    return (values - masks)[masks > 0].abs().mean()


@pytest.mark.parametrize("loss", [dice, weighted_by_the_batch, hard_negatives, of_valid_places])
def test_losses_over_the_places_of_the_whole_batch_are_right(loss):
    """One label moves the gradient in other rows, too."""

    def build():
        images = torch.randn(4, 3, 8, 8)
        batch = {"x": images, "y": (images[:, :1] > 0.3).float()}
        model = nn.Conv2d(3, 1, 3, padding=1)
        return pairs.learner(model, batch, lambda model, b: loss(model(b["x"]), b["y"]))

    proof = torchproof.prove(build, rules=[RULE])
    assert proof.passed, str(proof)


@pytest.mark.parametrize("build", [*pairs.RIGHT[:9], zoo.mixup_within_the_batch])
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
