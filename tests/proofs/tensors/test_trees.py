"""Batches of any nesting."""

from collections import OrderedDict, UserDict
from dataclasses import dataclass
from typing import NamedTuple

import torch

from torchproof.proofs.tensors.trees import clone, main_output, named_tensors


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


@dataclass(frozen=True)
class Sample:
    image: torch.Tensor
    name: str


def test_a_copy_has_the_same_shape_and_shares_nothing():
    shared = torch.ones(2, requires_grad=True)
    tree = {
        "pair": Pair(torch.zeros(1), shared),
        "sample": Sample(torch.ones(3), "cat"),
        "user": UserDict(x=torch.ones(1)),
        "list": [1, shared, None, (torch.ones(1), "text")],
    }
    copied = clone(tree)
    assert named_tensors(copied).keys() == named_tensors(tree).keys()
    assert copied["pair"].right is copied["list"][1]
    assert copied["pair"].right.requires_grad
    assert copied["sample"].name == "cat"
    copied["user"]["x"].zero_()
    assert tree["user"]["x"] == 1


def test_tensors_are_named_by_their_path():
    tree = {"views": [torch.ones(1), {"mask": torch.ones(1)}]}
    assert list(named_tensors(tree)) == ["views.0", "views.1.mask"]


def test_an_output_is_its_logits_or_its_first_tensor_that_is_no_loss():
    loss, hidden, logits = torch.tensor(1.0), torch.ones(2, 1), torch.ones(2, 3)
    assert main_output(logits) is logits
    assert main_output(OrderedDict(loss=loss, hidden=hidden, logits=logits)) is logits
    assert main_output({"per_row_loss": torch.ones(2), "hidden": hidden}) is hidden
    assert main_output((logits, hidden)) is logits
    assert main_output(loss) is None
