"""The data, a fresh trainee, and the model that is trained once for all tests that ask it."""

import pytest
import torchproof
from digits.data import load
from digits.model import DigitNet
from digits.train import make_optimizer, predict, train, training_step


@pytest.fixture(scope="session")
def splits():
    return load()


@pytest.fixture
def build(splits):
    training, _ = splits
    batch = {"x": training.images[:32], "y": training.labels[:32]}

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


@pytest.fixture
def trained_model(proof, splits):
    """Initial weights, order of rows and dropout follow the run's seed."""
    training, _ = splits
    return proof.trained(
        train, build=DigitNet, data=training, config={"epochs": 4}, name="digit-net"
    )
