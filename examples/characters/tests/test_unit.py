"""What must hold on every push, on a CPU."""

from characters.data import LENGTH, SYMBOLS

from tests.conftest import make_model


def test_training_step(proof, build):
    proof(build)


def test_the_architecture_is_the_one_that_was_agreed_on(proof, splits):
    proof.architecture(make_model(), splits[0].x[:2], name="decoder")


def test_the_text_is_what_is_expected(proof, splits):
    training, validation = splits
    proof.dataset(
        "text",
        splits={"train": training.x, "validation": validation.x},
        expect={"shape": (LENGTH,), "dtype": "int64", "range": (0, SYMBOLS - 1)},
    )
