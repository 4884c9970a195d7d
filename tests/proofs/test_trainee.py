"""A trainee refuses what it cannot be, in one sentence."""

from collections import namedtuple
from dataclasses import make_dataclass

import pytest
import torch
from torch import nn

import torchproof


def trainee(**options):
    given = {"model": nn.Linear(1, 1), "batch": torch.ones(2, 1), "step": len, **options}
    return torchproof.Trainee(**given)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model": nn.Linear}, "model is a type, not a torch.nn.Module"),
        (
            {"model": {"student": nn.Linear(1, 1), "teacher": None}},
            r"model\['teacher'\] is a NoneType",
        ),
        ({"model": ()}, "model holds no module"),
        ({"step": None}, "step is a NoneType, not a function"),
        ({"predict": torch.ones(1)}, "predict is a Tensor"),
        ({"batch": {"x": 1}, "target": "label"}, "the batch has no target 'label'"),
        ({"waive": ["stale-gradients"]}, "does not give a reason"),
        ({"waive": {"stale-gradients": ""}}, "does not give a reason"),
        ({"frozen": [3]}, "not a pattern"),
    ],
)
def test_a_wrong_argument_gets_one_clear_sentence(options, sentence):
    with pytest.raises(torchproof.TorchproofError, match=sentence):
        trainee(**options)


Sample = make_dataclass("Sample", ["image", "label"])
Pair = namedtuple("Pair", ["label", "image"])  # noqa: PYI024 - as data sets return it


@pytest.mark.parametrize("batch", [Sample(1, 2), Pair(2, 1), {"image": 1, "label": 2}])
def test_labels_are_a_field_of_a_record(batch):
    assert trainee(batch=batch, target="label").labels == 2


def test_a_method_of_the_batch_is_no_field():
    with pytest.raises(torchproof.TorchproofError, match="no target 'values'"):
        trainee(batch={"x": 1}, target="values")


@pytest.mark.parametrize(
    ("batch", "target", "labels"),
    [
        ({"x": 1, "y": 2}, "y", 2),
        ((1, 2), "y", 2),
        ((1, 2, 3), "y", None),
        ((1, 2, 3), 2, 3),
        ({"x": 1, "y": 2}, None, None),
    ],
)
def test_labels_are_found_where_the_target_says(batch, target, labels):
    assert trainee(batch=batch, target=target).labels == labels


def test_one_pattern_needs_no_tuple():
    assert trainee(frozen="encoder.*").frozen == ("encoder.*",)
