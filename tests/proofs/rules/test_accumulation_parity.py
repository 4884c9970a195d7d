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
            for x, y in zip(batch["x"].split(3), batch["y"].split(3)):
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
            for x, y in zip(batch["x"].split(size), batch["y"].split(size)):
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


class Tagger(nn.Module):
    """Computes its loss itself and returns nothing else."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 3))

    def forward(self, x, y=None, total=None):
        scores = self.layers(x)
        if y is None:
            return scores
        if total is None:
            return F.cross_entropy(scores.transpose(1, 2), y)
        return F.cross_entropy(scores.transpose(1, 2), y, reduction="sum") / total


def computing_its_loss(*, by_labels):
    def build():
        trainee = tagging(shared_equally)()
        model = Tagger()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            total = int((batch["y"] >= 0).sum()) if by_labels else None
            losses = []
            for x, y in zip(batch["x"].split(2), batch["y"].split(2)):
                loss = model(x, y, total)
                losses.append(loss if by_labels else loss / 3)
                losses[-1].backward()
            optimizer.step()
            return sum(losses)

        return Trainee(model, trainee.batch, step, target="y")

    return build


def test_a_model_that_computes_its_mean_over_unequal_numbers_of_labels(caught):
    finding, _ = caught(RULE, computing_its_loss(by_labels=False))
    assert finding.evidence["labels asked for"] == "[6, 8, 6]"
    assert not torchproof.prove(computing_its_loss(by_labels=True), rules=[RULE]).findings


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


def divide_gradients(model):
    for each in model.parameters():
        each.grad.div_(3)


def divided(backward, update, calls=3):
    """Accumulate over so many calls of the step; divide before backward and before the update."""

    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        count = []

        def step(batch):
            count.append(None)
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            (loss / backward).backward()  # here
            if len(count) % calls == 0:
                for each in model.parameters():
                    each.grad.div_(update)
                optimizer.step()
                optimizer.zero_grad()
            return loss

        return Trainee(model, zoo.classes(4), step)

    return build


@pytest.mark.parametrize(
    "build", [accumulating(3, finish=divide_gradients), divided(3, 3), divided(2, 2, calls=2)]
)
def test_losses_and_gradients_both_divided(caught, build):
    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert "once more behind it" in finding.message


@pytest.mark.parametrize(
    "build", [divided(1, 3), divided(3, 1), divided(3, 8), divided(1, 1), divided(2, 2, calls=1)]
)
def test_what_is_divided_once_or_for_another_reason_is_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def without_labels(divide):
    def build():
        model = zoo.mlp(4, 4)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            losses = []
            for x in batch["x"].split(2):
                loss = F.mse_loss(model(x), x)
                (loss / divide).backward()  # here
                losses.append(loss.detach())
            optimizer.step()
            return torch.stack(losses).mean()

        return Trainee(model, {"x": torch.randn(6, 4)}, step, target=None)

    return build


def test_parts_of_a_batch_without_labels(caught):
    finding, line = caught(RULE, without_labels(1))
    assert line.endswith("# here")
    assert finding.message.startswith("The gradient is 3 times that of the loss")
    assert not torchproof.prove(without_labels(3), rules=[RULE]).findings
