"""Bugs of the class `batch-untouched`."""

import lookalikes
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it

import torchproof


RULE = "batch-untouched"


def divide(batch):
    return batch["x"].div_(255)


def normalise(batch):
    batch["x"] -= 1.0
    return batch["x"]


def add_noise(batch):
    return batch["x"].add_(torch.randn_like(batch["x"]))


def one_row(batch):
    batch["x"][0].mul_(2)
    return batch["x"]


@pytest.mark.parametrize("change", [divide, normalise, add_noise, one_row])
def test_inputs_changed_in_place(caught, change):
    def build():
        return lookalikes.trained_with(lambda m, b: F.cross_entropy(m(change(b)), b["y"]))

    finding, _ = caught(RULE, build)
    assert (
        finding.message
        == "The step changes x of its batch in place, a little more with every call."
    )


def test_what_a_second_call_leaves_alone_is_an_info():
    (finding,) = torchproof.prove(lookalikes.labels_of_padding_set_in_place, rules=[RULE]).findings
    assert finding.severity == "info"


@pytest.mark.parametrize(
    "prepare",
    [
        lambda batch: batch["x"] / 255,
        lambda batch: batch["x"].requires_grad_(),
        lambda batch: batch.pop("x"),
        lambda batch: batch.setdefault("z", batch["x"] * 2),
    ],
    ids=["copy", "requires_grad", "pop", "another key"],
)
def test_tensors_left_as_they_are_are_silent(prepare):
    def build():
        return lookalikes.trained_with(lambda m, b: F.cross_entropy(m(prepare(b)), b["y"]))

    assert torchproof.prove(build, rules=[RULE]).passed
