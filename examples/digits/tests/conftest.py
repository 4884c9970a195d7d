"""A fresh trainee: model, one batch, and the project's own training step."""

import pytest
import torchproof
from digits.data import load
from digits.model import DigitNet
from digits.train import make_optimizer, predict, training_step


@pytest.fixture(scope="session")
def splits():
    return load()


@pytest.fixture
def build(splits):
    train, _ = splits
    batch = {"x": train.images[:32], "y": train.labels[:32]}

    def build():
        model = DigitNet()
        optimizer = make_optimizer(model)
        return torchproof.Trainee(
            model=model,
            batch=batch,
            step=lambda batch: training_step(model, optimizer, batch),
            predict=lambda batch: predict(model, batch),
        )

    return build
