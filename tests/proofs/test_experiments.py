"""No rule that changes inputs or labels reports an error on a right program."""

import dataclasses
from collections import UserDict
from typing import NamedTuple

import pairs
import pytest
import tokens
import torch
import zoo

import torchproof


RULES = [
    "causality",
    "input-parity",
    "inputs-used",
    "label-leak",
    "label-positions",
    "labels-used",
    "padding-ignored",
    "pure-prediction",
    "sample-pairing",
    "serving-parity",
]


@pytest.mark.parametrize(
    "build", [*pairs.RIGHT, *tokens.RIGHT, *zoo.HEALTHY], ids=lambda build: build.__name__
)
@pytest.mark.parametrize("seed", [0, 1])
def test_right_programs_have_no_error(build, seed):
    proof = torchproof.prove(build, rules=RULES, seed=seed)
    assert proof.passed, str(proof)


class Fields(NamedTuple):
    x: torch.Tensor
    y: torch.Tensor


@dataclasses.dataclass
class Record:
    x: torch.Tensor
    y: torch.Tensor

    def __getitem__(self, name):
        return getattr(self, name)


def kinds_of_batches():
    x, y = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 2, 1])
    return {
        "mapping of another kind": UserDict(x=x, y=y),
        "named tuple": Fields(x, y),
        "dataclass": Record(x, y),
        "with things that are no tensors": {"x": x, "y": y, "names": ["a"] * 6, "none": None},
        "sparse": {"x": x.relu().to_sparse(), "y": y},
        "one row": {"x": x[:1], "y": y[:1]},
        "the same everywhere": {"x": torch.ones(6, 4), "y": y},
        "soft labels": {"x": x, "y": torch.eye(3)[y]},
    }


@pytest.mark.parametrize("kind", kinds_of_batches())
def test_batches_of_every_kind_are_taken(kind):
    def loss_of(model, batch):
        x, y = (batch.x, batch.y) if hasattr(batch, "x") else (batch["x"], batch["y"])
        return torch.nn.functional.cross_entropy(model(x.to_dense()), y)

    def build():
        return pairs.learner(torch.nn.Linear(4, 3), kinds_of_batches()[kind], loss_of)

    assert not torchproof.prove(build, rules=RULES).findings
