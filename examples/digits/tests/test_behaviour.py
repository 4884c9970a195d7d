"""What the trained model can do, each capability a test of its own."""

import pytest
from digits.train import predict

pytestmark = pytest.mark.integration

LOOPS = (0, 6, 8, 9)


@pytest.fixture
def answers(trained_model):
    return lambda images: predict(trained_model, {"x": images}).argmax(1)


def test_every_digit_is_read(proof, splits, answers):
    _, validation = splits
    digits = validation.labels.tolist()
    proof.behaviour(
        "reading",
        kind="MFT",
        inputs=validation.images,
        expect=digits,
        predict=answers,
        slices={"shape": ["loops" if digit in LOOPS else "strokes" for digit in digits]},
        allow=0.08,
        tolerance=0.06,
    )


def test_the_light_does_not_matter(proof, splits, answers):
    _, validation = splits
    proof.behaviour(
        "brightness",
        kind="INV",
        inputs=validation.images,
        perturb=lambda image: 0.8 * image,
        predict=answers,
        allow=0.08,
        tolerance=0.05,
    )
