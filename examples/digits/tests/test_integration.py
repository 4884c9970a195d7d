"""A short training from scratch, and the quality it reaches."""

import pytest
import torch
from digits.model import DigitNet
from digits.train import accuracy, train


@pytest.mark.integration
def test_quality(proof, splits):
    training, validation = splits
    model = DigitNet()
    generator = torch.Generator().manual_seed(0)
    loss = train(model, training, epochs=4, generator=generator)
    proof.metric("train/loss", loss, better="lower", tolerance="50%")
    proof.metric(
        "val/accuracy", accuracy(model, validation), better="higher", unit="ratio", tolerance=0.02
    )
