"""Bugs of the class `repeated-randomness`; the marked line is where it shows."""

import random

import lookalikes
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "repeated-randomness"


def seeded(model_of, seed):
    def build():
        model = model_of()

        def loss(model, batch):
            seed()
            return F.cross_entropy(model(batch["x"]), batch["y"])

        return lookalikes.trained_with(loss, model)

    return build


def test_seeding_inside_the_step(caught):
    def seed():
        torch.manual_seed(0)  # here

    finding, line = caught(RULE, seeded(zoo.mlp, seed))
    assert line.endswith("# here")
    assert "the same dropout mask" in finding.message


def test_a_generator_state_put_back(caught):
    state = torch.get_rng_state()
    finding, _ = caught(RULE, seeded(zoo.mlp, lambda: torch.set_rng_state(state)))
    assert finding.evidence["steps compared"] == 3


def test_dropout_inside_attention_and_recurrence(caught):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(4, 4, num_layers=2, dropout=0.5)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            z = self.lstm(x)[0][None]
            return self.head(F.scaled_dot_product_attention(z, z, z, dropout_p=0.5)[0])

    caught(RULE, seeded(Attention, lambda: torch.manual_seed(1)))


def noisy(seed, draw=torch.randn):
    def loss(model, batch):
        seed()
        return F.cross_entropy(model(batch["x"] + draw(6, 4)), batch["y"])

    return lambda: lookalikes.trained_with(loss, nn.Linear(4, 3))


def test_the_same_noise_for_the_inputs_of_every_step(caught):
    finding, _ = caught(RULE, noisy(lambda: torch.manual_seed(0)))
    assert "the same noise" in finding.message


def test_a_generator_made_inside_the_step(caught):
    def draw(*shape):
        fixed = torch.Generator().manual_seed(0)
        return torch.randn(shape, generator=fixed) + torch.rand(1)  # here

    _, line = caught(RULE, noisy(lambda: None, draw))
    assert line.endswith("# here")


def test_numpy_seeded_inside_the_step(caught):
    def seed():
        np.random.seed(0)  # noqa: NPY002 - what is tested

    def noise(*shape):
        return torch.as_tensor(np.random.normal(size=shape)).float()  # noqa: NPY002 - as above

    finding, line = caught(RULE, noisy(seed, noise))
    assert "np.random.normal" in line
    assert finding.evidence["operations"] == "numpy.random.normal"


def test_a_generator_of_numpy_made_inside_the_step(caught):
    def noise(*shape):
        return torch.as_tensor(np.random.default_rng(0).normal(size=shape)).float()  # here

    _, line = caught(RULE, noisy(lambda: None, noise))
    assert line.endswith("# here")


def for_each_row(draw):
    """Whatever the batch, the first row gets the first number that is drawn."""

    def loss(model, batch):
        torch.manual_seed(0)  # here
        return F.cross_entropy(model(batch["x"] * draw(len(batch["x"]))[:, None]), batch["y"])

    return lambda: lookalikes.trained_with(loss, nn.Linear(4, 3))


def test_the_same_number_for_each_row_of_every_batch(caught):
    _, line = caught(RULE, for_each_row(torch.rand))
    assert line.endswith("# here")


def fixed_order_of_features():
    """The pixels of a task are permuted alike in every step."""

    def loss(model, batch):
        order = torch.as_tensor(np.random.default_rng(0).permutation(4))
        return F.cross_entropy(model(batch["x"][:, order]), batch["y"])

    return lookalikes.trained_with(loss, nn.Linear(4, 3))


def as_many_features_as_rows():
    """The projection has the shape of the inputs by chance."""

    def loss(model, batch):
        projection = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
        return F.cross_entropy(model(batch["x"] @ projection), batch["y"])

    return lookalikes.trained_with(
        loss, nn.Linear(6, 3), {"x": torch.randn(6, 6), "y": torch.arange(6) % 3}
    )


def lasting_generator_of_numpy():
    kept = np.random.default_rng(0)
    return noisy(lambda: None, lambda *shape: torch.as_tensor(kept.normal(size=shape)).float())()


@pytest.mark.parametrize(
    "build", [fixed_order_of_features, as_many_features_as_rows, lasting_generator_of_numpy]
)
def test_what_need_not_be_new_is_no_error(build):
    assert torchproof.prove(build, rules=[RULE]).passed


def test_watching_leaves_the_modules_as_they_were():
    before = (random.random, np.random.randn, np.random.default_rng)
    torchproof.prove(lasting_generator_of_numpy, rules=[RULE])
    assert (random.random, np.random.randn, np.random.default_rng) == before


def random_features(lasting):
    """A projection that each step draws anew from its own seed, so that it need not be saved."""
    kept = torch.Generator().manual_seed(0)

    def loss(model, batch):
        source = kept if lasting else torch.Generator().manual_seed(0)
        return F.cross_entropy(model(batch["x"] @ torch.randn(4, 4, generator=source)), batch["y"])

    return lookalikes.trained_with(loss, nn.Linear(4, 3))


def test_fixed_random_features_are_a_warning():
    (finding,) = torchproof.prove(lambda: random_features(lasting=False), rules=[RULE]).findings
    assert finding.severity == "warning"


def test_a_generator_that_lasts_is_silent():
    assert not torchproof.prove(lambda: random_features(lasting=True), rules=[RULE]).findings


def test_new_noise_and_a_seed_that_counts_are_silent():
    calls = []

    def count():
        calls.append(None)
        torch.manual_seed(len(calls))

    for seed in (lambda: None, count):
        assert not torchproof.prove(noisy(seed), rules=[RULE]).findings
    build = lookalikes.fixed_sample_to_look_at
    assert not torchproof.prove(build, rules=[RULE]).findings
