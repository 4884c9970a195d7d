"""Bugs of the class `class-ids`."""

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

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
    assert finding.evidence["places that differ"] >= 1


def named(names, table=(3, 7, 11, 18)):
    """The labels are the ids of a data set, which the loss looks up in a table."""
    ids = torch.tensor(table)
    return classifier(
        lambda logits: torch.tensor(names)[logits.argmax(1)],
        lambda y: (y[:, None] == ids).long().argmax(1),
        ids[torch.tensor([0, 1, 2, 3, 0, 2])],
    )


def test_names_from_another_table(caught):
    finding, _ = caught(RULE, lambda: named((7, 18, 3, 11)))
    assert finding.evidence["places that differ"] == 6


@pytest.mark.parametrize("names", [(3, 7, 11, 18), (0, 1, 0, 5), (3, 3, 11, 11), (21, 22, 23, 24)])
def test_names_of_the_same_table_and_of_something_else(names):
    assert not torchproof.prove(lambda: named(names), rules=[RULE]).findings


def test_probabilities_in_another_order(caught):
    caught(RULE, lambda: classifier(lambda logits: logits.softmax(1).flip(1)))


@pytest.mark.parametrize(
    "answer", [lambda x: x.softmax(1), lambda x: -x], ids=["shares", "energies"]
)
def test_probabilities_in_the_order_of_the_logits_are_right(answer):
    assert torchproof.prove(lambda: classifier(answer), rules=[RULE]).passed


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


def binary(answer, low=0, *, goal=lambda y: y.float(), labels=None):
    """``answer`` makes one of two classes of each logit."""
    model = zoo.mlp(4, 1)
    batch = {"x": torch.randn(6, 4), "y": torch.tensor([low, 1, 1, low, 1, low])}
    batch["y"] = batch["y"] if labels is None else labels

    def loss_of(model, batch):
        return F.binary_cross_entropy_with_logits(model(batch["x"]).squeeze(1), goal(batch["y"]))

    def predict(batch):  # here
        with torch.no_grad():
            return answer(model.eval()(batch["x"]))

    return pairs.learner(model, batch, loss_of, predict=predict)


@pytest.mark.parametrize(
    "answer",
    [
        lambda logit: (logit < 0).long(),
        lambda logit: (logit[:, 0].sigmoid() < 0.5).float(),
        lambda logit: torch.where(logit[:, 0] > 0, 0, 1),
    ],
    ids=["long", "float", "where"],
)
def test_two_classes_turned_round(caught, answer):
    finding, line = caught(RULE, lambda: binary(answer))
    assert line.endswith("# here")
    assert finding.evidence["places that differ"] == 6


def test_signs_turned_round(caught):
    caught(RULE, lambda: binary(lambda o: -o[:, 0].sign(), -1, goal=lambda y: (y + 1) / 2))


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        (lambda logit: (logit > 0).long(), {}),
        (lambda logit: (logit < 0)[:, 0], {"goal": lambda y: 1.0 - y}),
        (lambda logit: logit.sign()[:, 0], {"low": -1, "goal": lambda y: (y + 1) / 2}),
        (lambda logit: (logit.abs() > 1)[:, 0].long(), {}),
        (lambda logit: logit.sigmoid(), {}),
        (lambda logit: logit < 0, {"labels": torch.tensor([0.1, 0.9] * 3)}),
    ],
    ids=["right", "asked the other way", "signs", "is it sure", "chances", "smoothed labels"],
)
def test_two_classes_that_are_right_or_something_else(answer, options):
    assert not torchproof.prove(lambda: binary(answer, **options), rules=[RULE]).findings


def places(answer, *, shift=False):
    """One class for each place of each row."""
    model = nn.Linear(5, 4)
    batch = {"x": torch.randn(6, 3, 5), "y": torch.randint(0, 4, (6, 3))}
    batch["y"][1, 2] = -100

    def logits(batch):
        return model(batch["x"])

    def loss_of(_, batch):
        flat = logits(batch).flatten(0, 1)
        if shift:
            return F.cross_entropy(logits(batch)[:, :-1].transpose(1, 2), batch["y"][:, 1:])
        return F.cross_entropy(flat, batch["y"].flatten())

    def predict(batch):  # here
        with torch.no_grad():
            return answer(logits(batch))

    return pairs.learner(model, batch, loss_of, predict=predict)


def image(answer):
    """One class for each pixel; the classes are the second axis."""
    model = nn.Conv2d(1, 4, 3, padding=1)
    batch = {"x": torch.randn(4, 1, 5, 5), "y": torch.randint(0, 4, (4, 5, 5))}
    return pairs.learner(
        model,
        batch,
        lambda m, b: F.cross_entropy(m(b["x"]), b["y"]),
        predict=lambda batch: answer(model(batch["x"]).detach()),  # here
    )


@pytest.mark.parametrize(
    "build",
    [
        lambda: places(lambda logits: logits.argmin(-1)),
        lambda: places(lambda logits: (logits.argmax(-1) + 1) % 4),
        lambda: image(lambda logits: logits.argmin(1)),
    ],
    ids=["argmin", "counted from one", "least of an image"],
)
def test_other_classes_for_each_place(caught, build):
    _, line = caught(RULE, build)
    assert line.endswith("# here")


def smoothed(logits):
    """Each place gets the most frequent class of its row."""
    best = logits.argmax(-1)
    return best.mode(1, keepdim=True).values.expand_as(best)


@pytest.mark.parametrize(
    "build",
    [
        lambda: places(lambda logits: logits.argmax(-1)),
        lambda: places(lambda logits: logits.argmax(-1), shift=True),
        lambda: places(smoothed),
        lambda: places(lambda logits: (logits.softmax(-1).amax(-1) > 0.5).long()),
        lambda: image(lambda logits: logits.argmax(1)),
    ],
    ids=["largest", "the next one", "smoothed", "is it sure", "image"],
)
def test_right_classes_for_each_place(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (3, 1, 2, 0), (0, 3, 1, 2)])
def test_rows_in_another_order_are_no_other_classes(order):
    def build():
        batch = {"x": torch.randn(4, 4), "y": torch.tensor([0, 2, 3, 1])}
        return shuffled(torch.tensor(order), batch)

    assert not torchproof.prove(build, rules=[RULE]).findings


@pytest.mark.parametrize(
    "build",
    [
        lambda: classifier(lambda logits: logits.argmax(1).unique()),
        lambda: classifier(lambda logits: (logits.softmax(1).amax(1) > 0.5).long()),
        lambda: classifier(lambda logits: torch.tensor([17, 3, 44, 9])[logits.argmax(1)]),
        shuffled,
        zoo.lstm_over_sequences,
        pairs.mixup_with_the_reversed_batch,
        pairs.diffusion_for_a_class,
    ],
    ids=[
        "classes that occur",
        "is it sure",
        "own ids",
        "shuffled",
        "no predict",
        "mixup",
        "diffusion",
    ],
)
def test_other_predictions_are_not_judged(build):
    assert torchproof.prove(build, rules=[RULE]).skipped
