"""Bugs of the class `repeated-randomness`; the marked line is where it shows."""

import lookalikes
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
