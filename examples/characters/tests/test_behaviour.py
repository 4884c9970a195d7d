"""What the trained model can do, each capability a test of its own."""

import pytest
import torch
from characters.data import SYMBOLS
from characters.train import bits, predict

pytestmark = pytest.mark.integration


def likely(model, x):
    """Return the symbol that the model expects after each sequence."""
    return predict(model, {"x": x})[:, -1].argmax(1)


def test_it_is_as_good_as_a_model_can_be(proof, splits, trained_model):
    _, validation = splits
    value = bits(trained_model, validation)
    proof.metric("val/bits", value, better="lower", unit="bits")
    proof.metric("baseline/bits", validation.best.chance, better="lower", unit="bits")
    assert validation.best.reached(value, within=0.05)


def test_it_knows_what_follows_each_symbol(proof, splits, trained_model):
    training, _ = splits
    pairs = torch.zeros(SYMBOLS, SYMBOLS)
    pairs.index_put_(
        (training.x.flatten(), training.y.flatten()), torch.tensor(1.0), accumulate=True
    )
    proof.behaviour(
        "follower",
        kind="MFT",
        inputs=torch.arange(SYMBOLS)[:, None],
        expect=pairs.argmax(1),
        predict=lambda x: likely(trained_model, x),
        allow=0.09,  # one of the twelve
        slices={"first half": torch.arange(SYMBOLS) < SYMBOLS // 2},
    )


def test_only_the_last_symbol_matters(proof, splits, trained_model):
    _, validation = splits

    def another_beginning(row):
        return torch.cat([row[:8].flip(0), row[8:]])

    proof.behaviour(
        "beginning",
        kind="INV",
        inputs=validation.x[:64],
        perturb=another_beginning,
        predict=lambda x: likely(trained_model, x),
        allow=0.05,
    )


def test_the_service_answers_as_training_did(proof, splits, trained_model):
    _, validation = splits
    proof.handover(
        trained_model,
        "characters.service:load",
        inputs=validation.x[:32],
        predict=lambda x: likely(trained_model, x),
    )
