import pytest
from moons import load, make_model, make_optimizer, training_step

import torchproof


@pytest.fixture
def build():
    points, labels = load()

    def build():
        model = make_model()
        optimizer = make_optimizer(model)
        return torchproof.Trainee(
            model=model,
            batch={"x": points, "y": labels},
            step=lambda batch: training_step(model, optimizer, batch),
        )

    return build
