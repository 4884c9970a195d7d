"""Bugs of the class `evaluation-mean`."""

import pairs
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import torchproof


RULE = "evaluation-mean"


def evaluated(evaluate, rows=10):
    def build():
        model = zoo.mlp()
        batch = {"x": torch.randn(rows, 4), "y": torch.arange(rows) % 3}

        def run(batch):  # here
            model.eval()
            with torch.no_grad():
                return evaluate(model, batch["x"], batch["y"])

        return pairs.learner(
            model, batch, lambda m, b: F.cross_entropy(m(b["x"]), b["y"]), evaluate=run
        )

    return build


def parts(x, y, size):
    return list(zip(x.split(size), y.split(size)))


def mean_of_means(size):
    def evaluate(model, x, y):
        losses = [F.cross_entropy(model(a), b).item() for a, b in parts(x, y, size)]
        return sum(losses) / len(losses)

    return evaluate


def last_part_dropped(size):
    def evaluate(model, x, y):
        full = [(a, b) for a, b in parts(x, y, size) if len(a) == size]
        return torch.stack([F.cross_entropy(model(a), b) for a, b in full]).mean()

    return evaluate


@pytest.mark.parametrize("size", [4, 5, 7])
def test_a_mean_of_means_of_unequal_parts(caught, size):
    finding, line = caught(RULE, evaluated(mean_of_means(size)))
    assert line.endswith("# here")
    assert "count" in finding.message


@pytest.mark.parametrize("size", [3, 4, 8])
def test_a_last_part_that_is_left_out(caught, size):
    finding, _ = caught(RULE, evaluated(last_part_dropped(size)))
    assert finding.message.startswith("evaluate leaves out the last")


def loaded(x, y, size, **options):
    return DataLoader(TensorDataset(x, y), size, **options)


def test_a_loader_that_drops_the_last_batch(caught):
    def evaluate(model, x, y):
        batches = loaded(x, y, 4, drop_last=True)
        return torch.stack([F.cross_entropy(model(a), b) for a, b in batches]).mean()

    caught(RULE, evaluated(evaluate))


def in_one_pass(model, x, y):
    return F.cross_entropy(model(x), y)


def weighted_by_rows(model, x, y):
    sums = [F.cross_entropy(model(a), b, reduction="sum").item() for a, b in parts(x, y, 4)]
    return sum(sums) / len(y)


def weighted_by_classes(model, x, y):
    weight = torch.tensor([0.2, 0.5, 0.3])
    sums = [F.cross_entropy(model(a), b, weight, reduction="sum") for a, b in parts(x, y, 4)]
    return sum(sums) / weight[y].sum()


def of_the_first_rows(model, x, y):
    return F.cross_entropy(model(x[:6]), y[:6])


def against_the_others_of_a_part(model, x, y):
    codes = [F.normalize(model(a), dim=1) for a, _ in parts(x, y, 4)]
    losses = [F.cross_entropy(each @ each.T, torch.arange(len(each))) for each in codes]
    return torch.stack(losses).mean()


def accuracy(model, x, y):
    return (model(x).argmax(1) == y).float().mean()


def in_any_order(model, x, y):
    return sum(F.cross_entropy(model(a), b) for a, b in loaded(x, y, 5, shuffle=True)) / 2


def under_noise(model, x, y):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return F.cross_entropy(model(x + noise), y)


@pytest.mark.parametrize(
    "evaluate",
    [
        in_one_pass,
        weighted_by_rows,
        weighted_by_classes,
        of_the_first_rows,
        against_the_others_of_a_part,
        accuracy,
        under_noise,
        in_any_order,
        mean_of_means(1),
        mean_of_means(20),
    ],
)
@pytest.mark.parametrize("rows", [10, 12])
def test_right_evaluations_are_silent(evaluate, rows):
    assert not torchproof.prove(evaluated(evaluate, rows), rules=[RULE]).findings


def tagged(evaluate, ignored=-100):
    def build():
        model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 3))
        lengths = torch.tensor([7, 2, 4, 6, 3, 7, 1, 5])
        tokens = torch.randint(1, 9, (8, 7))
        labels = 1 + tokens % 2 if ignored == 0 else tokens % 3
        labels = labels.masked_fill(torch.arange(7) >= lengths[:, None], ignored)

        def loss(batch, reduction="mean"):
            logits = model(batch["x"]).transpose(1, 2)
            options = {"reduction": reduction, "ignore_index": ignored}
            return F.cross_entropy(logits, batch["y"], **options)

        def run(batch):
            pieces = [{"x": x, "y": y} for x, y in parts(batch["x"], batch["y"], 2)]
            with torch.no_grad():
                return evaluate(loss, pieces)

        return pairs.learner(
            model, {"x": tokens, "y": labels}, lambda _, batch: loss(batch), evaluate=run
        )

    return build


@pytest.mark.parametrize("ignored", [-100, 0])
def test_a_mean_of_means_over_unequal_numbers_of_labels(caught, ignored):
    def evaluate(loss, pieces):
        return torch.stack([loss(each) for each in pieces]).mean()

    finding, _ = caught(RULE, tagged(evaluate, ignored))
    assert "a label counts more" in finding.message


def by_label(loss, pieces):
    return sum(loss(each, "sum") for each in pieces) / sum((p["y"] >= 0).sum() for p in pieces)


def by_word(loss, pieces):
    return sum(loss(each, "sum") for each in pieces) / sum((p["y"] > 0).sum() for p in pieces)


def by_row(loss, pieces):
    rows = [{name: each[name][row : row + 1] for name in each} for each in pieces for row in (0, 1)]
    return torch.stack([loss(each) for each in rows]).mean()


@pytest.mark.parametrize(
    ("evaluate", "ignored"), [(by_label, -100), (by_row, -100), (by_word, 0), (by_row, 0)]
)
def test_labels_that_count_alike_are_silent(evaluate, ignored):
    assert not torchproof.prove(tagged(evaluate, ignored), rules=[RULE]).findings
