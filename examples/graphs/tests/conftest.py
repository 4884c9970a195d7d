"""The data, a fresh trainee, and the model that is trained once for all behaviour tests."""

import pytest
import torchproof
from graphs.data import load
from graphs.model import GraphNet
from graphs.train import make_optimizer, predict, train, training_step


@pytest.fixture(scope="session")
def splits():
    return load()


@pytest.fixture
def build(splits):
    batch = {**splits[0][:16]}

    def build():
        model = GraphNet()
        optimizer = make_optimizer(model)
        return torchproof.Trainee(
            model=model,
            batch=batch,
            step=lambda batch: training_step(model, optimizer, batch),
            predict=lambda batch: predict(model, batch),
            serve=GraphNet,
        )

    return build


@pytest.fixture
def trained_model(proof, splits):
    return proof.trained(train, build=GraphNet, data=splits[0], name="graph-net")
