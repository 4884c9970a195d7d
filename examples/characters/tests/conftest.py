"""The data, a fresh trainee, and the model that is trained once for all behaviour tests."""

import pytest
import torchproof
from characters.data import LENGTH, SYMBOLS, load
from characters.model import Decoder
from characters.train import make_optimizer, predict, train, training_step


def make_model():
    return Decoder(SYMBOLS, LENGTH)


@pytest.fixture(scope="session")
def splits():
    return load()


@pytest.fixture
def build(splits):
    batch = {**splits[0][:16]}

    def build():
        model = make_model()
        optimizer = make_optimizer(model)
        return torchproof.Trainee(
            model=model,
            batch=batch,
            step=lambda batch: training_step(model, optimizer, batch),
            predict=lambda batch: predict(model, batch),
            serve=make_model,
            causal=True,
        )

    return build


@pytest.fixture
def trained_model(proof, splits):
    return proof.trained(train, build=make_model, data=splits[0], name="decoder")
