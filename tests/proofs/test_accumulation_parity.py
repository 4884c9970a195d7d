"""Bugs of the class `accumulation-parity`; the marked line goes backward once for each part."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "accumulation-parity"


def accumulating(divide=1, *, returned=1 / 3, finish=lambda model: None, loss_of=F.cross_entropy):
    """Go backward for three parts of the batch, 3, 3 and 2 rows, and update once."""

    def build():
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            total = torch.zeros(())
            for x, y in zip(batch["x"].split(3), batch["y"].split(3), strict=True):
                loss = loss_of(model(x), y)
                (loss / divide).backward() if divide != 1 else loss.backward()  # here
                total += loss.detach() * returned
            finish(model)
            optimizer.step()
            return total

        return Trainee(model, {"x": torch.randn(8, 4), "y": torch.arange(8) % 3}, step)

    return build


def test_parts_that_are_not_divided(caught):
    finding, line = caught(RULE, accumulating())
    assert line.endswith("# here")
    assert finding.message.startswith("The gradient is 3 times that of the loss")
    assert finding.evidence["micro-batches"] == 3


def test_a_mean_over_rows_that_is_returned(caught):
    def build():
        trainee = accumulating()()
        inner = trainee.step

        def step(batch):
            with torch.no_grad():
                mean = F.cross_entropy(trainee.model(batch["x"]), batch["y"])
            inner(batch)
            return mean

        trainee.step = step
        return trainee

    caught(RULE, build)


def tagging(loss_of, size=2):
    """Go backward for parts of so many rows; the rows have 5, 1, 3, 5, 2 and 4 labels."""

    def build():
        model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 3))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        tokens = torch.randint(9, (6, 5))
        lengths = torch.tensor([5, 1, 3, 5, 2, 4])
        labels = (tokens % 3).masked_fill(torch.arange(5) >= lengths[:, None], -100)

        def step(batch):
            optimizer.zero_grad()
            total = torch.zeros(())
            for x, y in zip(batch["x"].split(size), batch["y"].split(size), strict=True):
                loss = loss_of(model(x).transpose(1, 2), y, int((batch["y"] >= 0).sum()))
                loss.backward()  # here
                total += loss.detach()
            optimizer.step()
            return total

        return Trainee(model, {"x": tokens, "y": labels}, step)

    return build


def shared_equally(logits, labels, _):
    return F.cross_entropy(logits, labels) / 3


def shared_by_labels(logits, labels, total):
    return F.cross_entropy(logits, labels) * ((labels >= 0).sum() / total)


def summed_up(logits, labels, total):
    return F.cross_entropy(logits, labels, reduction="sum") / total


def test_means_over_unequal_numbers_of_labels(caught):
    finding, line = caught(RULE, tagging(shared_equally))
    assert line.endswith("# here")
    assert finding.evidence["labels asked for"] == "[6, 8, 6]"


@pytest.mark.parametrize(
    "build",
    [tagging(shared_by_labels), tagging(summed_up), tagging(shared_equally, size=1)],
    ids=["shared by labels", "summed up", "a mean for each row"],
)
def test_labels_that_count_alike_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def divide_by_hand(model):
    for parameter in model.parameters():
        parameter.grad /= 3


@pytest.mark.parametrize(
    "build",
    [
        accumulating(3),
        accumulating(returned=1.0),
        accumulating(3, returned=1 / 9),
        accumulating(loss_of=lambda p, y: F.cross_entropy(p, y, reduction="sum")),
    ],
    ids=["divided", "sum returned", "divided loss returned", "sum of rows"],
)
def test_right_programs_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def two_losses_on_the_whole_batch():
    model = zoo.mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(batch):
        optimizer.zero_grad()
        losses = []
        for scale in (1, 2):
            losses.append(F.cross_entropy(model(scale * batch["x"]), batch["y"]))
            losses[-1].backward()
        optimizer.step()
        return (losses[0] + losses[1]).detach() / 2

    return Trainee(model, zoo.classes(4), step)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (zoo.plain_mlp, "does not go backward for each part of its batch"),
        (two_losses_on_the_whole_batch, "does not go backward for each part of its batch"),
        (accumulating(finish=divide_by_hand), "changes its gradients"),
        (
            accumulating(finish=lambda model: nn.utils.clip_grad_norm_(model.parameters(), 0.01)),
            "changes its gradients",
        ),
    ],
)
def test_it_says_why_it_cannot_judge(build, why):
    assert why in torchproof.prove(build, rules=[RULE]).skipped[RULE]
