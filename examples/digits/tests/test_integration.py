"""A short training from scratch, and the quality it reaches."""

import pytest
from digits.train import accuracy, loss

pytestmark = pytest.mark.integration


def test_quality(proof, splits, trained_model):
    """Main's runs show how far the loss moves by itself; the accuracy has a limit of its own."""
    _, validation = splits
    proof.metric("val/loss", loss(trained_model, validation), better="lower")
    value = accuracy(trained_model, validation)
    proof.metric("val/accuracy", value, better="higher", unit="ratio", tolerance=0.03)
