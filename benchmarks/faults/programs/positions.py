"""Bugs of positions: which label belongs to which token."""

# ruff: noqa: SIM108 - wrong and right stand on lines of their own

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from benchmarks.faults.case import case
from benchmarks.faults.parts import Batch, LanguageModel, tokens, trained
from torch import Tensor
from torch.nn import functional


if TYPE_CHECKING:
    from torchproof import Trainee


@case(40, "decoder LM", "label-positions", quick=True)
def labels_not_shifted(*, right: bool) -> Trainee:
    """Each position is asked for the token it was given."""
    model = LanguageModel()

    def loss(batch: Batch) -> Tensor:
        logits, labels = model(batch["input_ids"]), batch["labels"]
        if right:
            logits, labels = logits[:, :-1], labels[:, 1:]  # right
        return functional.cross_entropy(logits.transpose(1, 2), labels)

    return trained(model, tokens(), loss, target="labels")


@case(41, "decoder LM", "label-positions", quick=True)
def labels_shifted_twice(*, right: bool) -> Trainee:
    """Collator and loss both shift."""
    model = LanguageModel()

    def loss(batch: Batch) -> Tensor:
        logits, labels = model(batch["input_ids"]), batch["labels"]
        if not right:
            logits, labels = logits[:, :-1], labels[:, 1:]  # wrong
        return functional.cross_entropy(logits.transpose(1, 2), labels)

    ids = torch.randint(0, 11, (4, 8))
    batch = {"input_ids": ids[:, :-1].clone(), "labels": ids[:, 1:].clone()}
    return trained(model, batch, loss, target="labels")


@case(42, "token tagging", "label-positions", "sample-pairing", quick=True)
def logits_reshaped_not_transposed(*, right: bool) -> Trainee:
    """``reshape`` gives the shape that cross_entropy wants, with scrambled contents."""
    model = LanguageModel()

    def loss(batch: Batch) -> Tensor:
        logits = model(batch["input_ids"])
        rows, length, classes = logits.shape
        if right:
            logits = logits.transpose(1, 2)  # right
        else:
            logits = logits.reshape(rows, classes, length)  # wrong
        return functional.cross_entropy(logits, batch["tags"])

    batch = {
        "input_ids": torch.randint(0, 11, (4, 7)),
        "tags": torch.randint(0, 11, (4, 7)),
    }
    return trained(model, batch, loss, target="tags")
