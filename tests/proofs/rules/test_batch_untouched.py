"""Bugs of the class `batch-untouched`."""

import lookalikes
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
from torch import nn

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


@pytest.mark.parametrize("late", [True, False])
def test_labels_changed_in_place_after_they_were_used(late):
    """Before they are used the same change trains the same, whenever the batch comes again."""

    def build():
        def loss(model, batch):
            before = batch["y"].clone()
            batch["y"].clamp_(max=1)
            return F.cross_entropy(model(batch["x"]), before if late else batch["y"])

        return lookalikes.trained_with(loss)

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == ("error" if late else "info")
    assert ("trains otherwise on what it has made of it" in finding.message) == late


def language_model(change):
    """``change`` prepares (inputs, labels), which are parts of one tensor."""

    def build():
        ids = torch.randint(0, 9, (4, 6))
        ids[:, 3] = 1
        model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9))

        def loss(model, batch):
            inputs, labels = change(batch["ids"])
            return F.cross_entropy(model(inputs).flatten(0, 1), labels.reshape(-1))

        return lookalikes.trained_with(loss, model, {"ids": ids}, target=None)

    return build


def masked(ids):
    labels = ids[:, 1:]
    labels.masked_fill_(labels == 1, 2)  # here
    return ids[:, :-1], labels


def masked_by_an_index(ids):
    labels = ids[:, 1:]
    labels[labels == 1] = 2  # here
    return ids[:, :-1], labels


@pytest.mark.parametrize("change", [masked, masked_by_an_index])
def test_labels_that_are_a_part_of_the_inputs(caught, change):
    finding, line = caught(RULE, language_model(change))
    assert line.endswith("# here")
    assert "a model reads as well" in finding.message


def made_valid(ids):
    ids.clamp_(max=7)
    return ids[:, :-1], ids[:, 1:]


def without_a_token(ids):
    ids[ids == 1] = 2
    return ids[:, :-1], ids[:, 1:]


@pytest.mark.parametrize("change", [made_valid, without_a_token])
def test_inputs_and_labels_made_valid_together_are_an_info(change):
    (finding,) = torchproof.prove(language_model(change), rules=[RULE]).findings
    assert finding.severity == "info"


def test_an_autoencoder_that_clamps_its_inputs_is_an_info():
    def build():
        def loss(model, batch):
            x = batch["x"].clamp_(-1, 1)
            return F.mse_loss(model(x), x)

        batch = {"x": torch.randn(6, 4)}
        return lookalikes.trained_with(loss, nn.Linear(4, 4), batch, target=None)

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "info"


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
