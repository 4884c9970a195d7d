"""Bugs of the class `class-ids`."""

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo

import torchproof


RULE = "class-ids"


def classifier(answer, asked=lambda y: y, labels=None, model=None):
    """``answer`` makes classes of logits, ``asked`` makes of labels what the loss is given."""
    model = model() if model else zoo.mlp(4, 4)
    batch = pairs.labelled(4)
    batch["y"] = batch["y"] if labels is None else labels

    def predict(batch):  # here
        with torch.no_grad():
            return answer(model.eval()(batch["x"]))

    return pairs.learner(
        model, batch, lambda m, b: F.cross_entropy(m(b["x"]), asked(b["y"])), predict=predict
    )


def shuffled(order=torch.tensor([0, 2, 1, 5, 3, 4]), batch=None):  # noqa: B008 - a constant
    trainee = classifier(largest)

    def loss_of(model, batch):
        return F.cross_entropy(model(batch["x"][order]), batch["y"][order])

    return pairs.learner(trainee.model, batch or trainee.batch, loss_of, predict=trainee.predict)


def largest(logits):
    return logits.argmax(1)


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (lambda logits: logits.argmin(1), lambda y: y),
        (largest, lambda y: y + 1),
        (lambda logits: 3 - logits.argmax(1), lambda y: y),
        (lambda logits: logits[:, 1:].argmax(1), lambda y: y),
    ],
    ids=["argmin", "counted from one in training", "another order", "a class too few"],
)
def test_other_classes_than_the_labels(caught, answer, asked):
    finding, line = caught(RULE, lambda: classifier(answer, asked))
    assert line.endswith("# here")
    assert finding.evidence["rows that differ"] >= 1


TABLE = torch.tensor([2, 0, 3, 1])


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (largest, lambda y: y),
        (lambda logits: logits[:, 1:].argmax(1), lambda y: y + 1),
        (lambda logits: TABLE.argsort()[logits.argmax(1)], lambda y: TABLE[y]),
        (lambda logits: logits.softmax(1).ge(0.9).long().argmax(1), lambda y: y),
        (lambda logits: logits.topk(2).indices[:, 0], lambda y: y),
    ],
    ids=["largest", "background", "a table and its inverse", "threshold", "best of two"],
)
def test_the_same_classes_are_silent(answer, asked):
    proof = torchproof.prove(lambda: classifier(answer, asked), rules=[RULE])
    assert not proof.findings
    assert not proof.skipped


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (3, 1, 2, 0), (0, 3, 1, 2)])
def test_rows_in_another_order_are_no_other_classes(order):
    def build():
        batch = {"x": torch.randn(4, 4), "y": torch.tensor([0, 2, 3, 1])}
        return shuffled(torch.tensor(order), batch)

    assert not torchproof.prove(build, rules=[RULE]).findings


@pytest.mark.parametrize(
    "build",
    [
        lambda: classifier(lambda logits: logits.softmax(1)),
        lambda: classifier(lambda logits: logits.argmax(1).unique()),
        lambda: classifier(lambda logits: torch.tensor([17, 3, 44, 9])[logits.argmax(1)]),
        shuffled,
        zoo.lstm_over_sequences,
        pairs.mixup_with_the_reversed_batch,
        pairs.diffusion_for_a_class,
    ],
    ids=[
        "chances",
        "classes that occur",
        "own ids",
        "shuffled",
        "no predict",
        "mixup",
        "diffusion",
    ],
)
def test_other_predictions_are_not_judged(build):
    assert torchproof.prove(build, rules=[RULE]).skipped
