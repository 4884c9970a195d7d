"""What must hold on every push, on a CPU."""

import torch
import torchproof
from digits.model import DigitNet


def test_training_step(proof, build):
    proof(build)


def test_architecture(proof):
    """Whoever loads these weights builds the same network: its lock is committed."""
    proof.architecture(DigitNet(), torch.zeros(2, 1, 8, 8), name="digit-net")


def test_images_become_ten_logits():
    assert DigitNet()(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_logits_by_hand():
    """Every parameter 0.5, a blank image, running statistics at their start (mean 0, variance 1).

    conv1 gives its bias, 0.5; norm1 0.5 x 0.5 + 0.5 = 0.75; conv2, away from the border,
    16 channels x 9 taps x 0.5 x 0.75 + 0.5 = 54.5; norm2 27.75; the head sums 128 features.
    """
    model = DigitNet().eval()
    torchproof.set_constant_weights(model, 0.5)
    expected = torch.full((1, 10), 128 * 0.5 * 27.75 + 0.5)
    torch.testing.assert_close(model(torch.zeros(1, 1, 8, 8)), expected, rtol=1e-4, atol=0)


def test_data(proof, splits):
    training, validation = splits
    proof.dataset(
        "digits",
        splits={"train": tuple(training), "validation": tuple(validation)},
        expect={"shape": (1, 8, 8), "dtype": "float32", "range": (0, 1), "labels": range(10)},
    )


def test_every_digit_is_held_out(splits):
    _, validation = splits
    assert validation.labels.bincount(minlength=10).min() >= 20
