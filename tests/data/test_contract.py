"""What a split holds, and what is wrong between splits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from torchproof.data.contract import breaches
from torchproof.data.split import facts, numbers, split
from torchproof.errors import UsageError


X = torch.arange(12.0).reshape(6, 2)
Y = torch.tensor([0, 1, 0, 1, 0, 0])


def rules(*parts, **expect):
    return [breach.rule for breach in breaches(parts, expect)]


def test_a_split_in_numbers_and_words():
    part = split("train", (X, Y))
    assert numbers(part) == {
        "rows": (6, "rows"),
        "duplicates": (0, "rows"),
        "min": (0.0, ""),
        "max": (11.0, ""),
        "labels": (2, "labels"),
        "rarest label": (pytest.approx(1 / 3), "ratio"),
    }
    assert facts(part) == {"shape": "2", "dtype": "float32", "labels": "0, 1"}


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        (X.numpy(), Y.numpy()),
        torch.utils.data.TensorDataset(X, Y),
        list(zip(X, Y)),
        (list(X), Y.tolist()),
    ],
)
def test_every_way_to_give_a_split_counts_the_same(data):
    part = split("train", data)
    assert (part.rows, part.shape, part.dtype) == (6, (2,), "float32")
    assert part.labels == {"0": 4, "1": 2}
    assert (part.low, part.high, part.odd) == (0.0, 11.0, 0)


def test_texts_have_no_range():
    part = split("train", ["good", "bad", "good"])
    assert numbers(part) == {"rows": (3, "rows"), "duplicates": (1, "rows")}
    assert facts(part) == {"shape": "single values", "dtype": "str"}


def test_rows_in_two_splits_are_found_by_their_bytes():
    train, test = split("train", X), split("test", torch.cat([X[4:5], X[1:2], X[:1] + 0.5]))
    (breach,) = breaches([train, test], {})
    assert breach.rule == "data-duplicates-between-splits"
    assert breach.message == "2 of 3 rows of test are also in train"
    assert breach.evidence == {"rows of train and test": [[4, 0], [1, 1]]}
    assert breach.severity == "warning"
    assert rules(split("train", ["a", "b"]), split("test", ["c", "a"])) == [
        "data-duplicates-between-splits"
    ]


def test_splits_that_are_right_break_nothing():
    other = split("test", (X + 100, Y))
    assert rules(split("train", (X, Y)), other, shape=(2,), range=(0, 200), labels=[0, 1]) == []


def test_splits_that_were_prepared_differently_are_found():
    assert rules(split("train", X), split("test", X.double() + 100)) == ["data-splits-differ"]
    assert rules(split("train", (X, Y)), split("test", (X + 100, Y + 1))) == ["data-unseen-label"]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", [torch.tensor, np.array, list])
def test_values_that_are_not_finite_are_found(odd, kind):
    part = split("train", kind([1.0, odd, 3.0]))
    assert (part.low, part.high, part.odd) == (1.0, 3.0, 1)
    assert rules(part) == ["data-not-finite"]


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"shape": (3,)}, "the shape of train is 2, not 3"),
        ({"dtype": torch.float64}, "the dtype of train is float32, not torch.float64"),
        ({"range": (0, 1)}, "the range of train is 0.0, 11.0, not 0, 1"),
        ({"labels": range(3)}, "the labels of train are 0, 1, not 0, 1, 2"),
    ],
)
def test_a_promise_that_is_broken_is_an_error(expect, said):
    (breach,) = breaches([split("train", (X, Y))], expect)
    assert (breach.rule, breach.severity) == ("data-contract", "error")
    assert breach.message == said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (X[:0], "has 0 rows"),
        ((X, Y[:2]), "has 6 rows and 2 labels"),
        (3, "is int"),
        ("text", "is str"),
    ],
)
def test_what_is_no_split_is_refused(data, said):
    with pytest.raises(UsageError, match=said):
        split("train", data)
    with pytest.raises(UsageError, match="cannot be expected"):
        breaches([split("train", X)], {"colour": "red"})
