"""The first steps of a training to the bit: what moves them, and what must not."""

from __future__ import annotations

import random
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchproof import Trainee
from torchproof.proofs.rule import Skip
from torchproof.proofs.trajectory import STEPS, digest_of, exactly, trajectory


ROWS = [0, 1, 2, 3, 4, 5]


class Net(nn.Module):
    """Two layers with dropout between them."""

    def __init__(self, activation=torch.relu, dropout=0.5):
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)
        self.activation, self.dropout = activation, nn.Dropout(dropout)

    def forward(self, x):
        return self.second(self.dropout(self.activation(self.first(x))))


def program(*, net=Net, rate=1e-2, order=1, scale=1.0, dtype=torch.float32, draws=(), **options):
    """A training program; ``draws`` names the places at which it draws once more."""

    def build():
        if "first" in draws:
            torch.rand(1)
        model = net().to(dtype)
        optimizer = torch.optim.Adam(model.parameters(), rate)
        calls = []
        if "last" in draws:
            torch.rand(1), random.random()

        def step(batch):
            calls.append(1)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(batch["x"]), batch["y"]) * scale
            loss.backward()
            optimizer.step()
            if f"after {len(calls)}" in draws:
                torch.rand(1)
            return loss

        x = torch.linspace(-1, 1, 24).reshape(6, 4)[order].to(dtype)
        batch = {"x": x, "y": torch.tensor([0, 1, 2, 0, 1, 2])[order]}
        return Trainee(model, batch, step, **options)

    return build


def other_than_plain(build):
    return trajectory(build).digest != trajectory(program()).digest


def test_the_same_program_has_the_same_trajectory():
    first = trajectory(program())
    assert first == trajectory(program())
    assert len(first.losses) == len(first.steps) == STEPS
    assert first != trajectory(program(), seed=1)


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 6))
@settings(max_examples=8, deadline=None)
def test_more_steps_go_on_where_fewer_stopped(seed, steps):
    shorter, longer = (trajectory(program(), seed=seed, steps=n) for n in (steps, steps + 1))
    assert longer.losses[:-1] == shorter.losses
    assert longer.steps[:-1] == shorter.steps


@given(places=st.sets(st.sampled_from(["last", *(f"after {n}" for n in range(1, STEPS + 1))])))
@settings(max_examples=8, deadline=None)
def test_a_draw_at_the_end_of_a_stage_moves_no_other_stage(places):
    assert trajectory(program(draws=places)) == trajectory(program())


def test_a_draw_in_a_step_moves_the_rest_of_that_step_and_no_later_draw():
    def build(more):
        calls, model = [], nn.Linear(1, 1)

        def step(_):
            calls.append(1)
            if more and len(calls) == 3:
                torch.rand(1)
            return torch.rand(1)

        return Trainee(model, {"x": torch.zeros(1, 1)}, step)

    plain, moved = (trajectory(lambda more=more: build(more)) for more in (False, True))
    differs = [a != b for a, b in zip(plain.losses, moved.losses)]
    assert differs == [False, False, True, False, False]


def test_a_draw_before_the_weights_is_another_training():
    assert other_than_plain(program(draws=["first"]))


class Rewritten(nn.Module):
    """Net, written by somebody else: other names inside, the same computation."""

    def __init__(self):
        super().__init__()
        layers = {
            name: nn.Linear(*sizes) for name, sizes in {"first": (4, 8), "second": (8, 3)}.items()
        }
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, batch):
        hidden = self.first(batch).clamp(min=0)  # the same as a ReLU
        return self.second(nn.functional.dropout(hidden, 0.5, self.training))


def test_a_refactoring_keeps_it():
    assert trajectory(program(net=Rewritten)) == trajectory(program())


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 1.0001e-2},
        {"order": [1, 0, 2, 3, 4, 5]},
        {"scale": 1 + 1e-6},
        {"dtype": torch.float64},
        {"net": lambda: Net(dropout=0.4)},
        {"net": lambda: Net(activation=nn.functional.leaky_relu)},
    ],
    ids=["rate", "order", "loss", "dtype", "dropout", "activation"],
)
def test_a_change_of_training_changes_it(change):
    assert other_than_plain(program(**change))


def test_other_initial_weights_change_it():
    def net():
        model = Net()
        with torch.no_grad():
            model.first.bias.zero_()
        return model

    assert other_than_plain(program(net=net))


@pytest.mark.parametrize("milestone", [40, 80])
def test_a_schedule_that_begins_later_is_seen_in_its_settings(milestone):
    def build(milestone=milestone):
        trainee = program()()
        optimizer = torch.optim.SGD(trainee.model.parameters(), 0.1)
        trainee.keeps = torch.optim.lr_scheduler.MultiStepLR(optimizer, [milestone])
        return trainee

    assert trajectory(build).steps == trajectory(program()).steps
    assert trajectory(build).digest != trajectory(lambda: build(41)).digest


def test_a_prediction_and_an_evaluation_count():
    twice = program(predict=lambda batch: batch["x"] * 2)
    thrice = program(predict=lambda batch: batch["x"] * 3)
    assert trajectory(twice).steps == trajectory(thrice).steps
    assert trajectory(twice).digest != trajectory(thrice).digest
    low, high = (program(evaluate=lambda _, value=value: value) for value in (0.1, 0.2))
    assert trajectory(low).digest != trajectory(high).digest


def test_what_no_step_reaches_is_said():
    assert trajectory(program()).whole
    assert not trajectory(program(serve=Net)).whole
    assert not trajectory(program(loader=[])).whole


SCRIPT = """
import sys, torch
sys.path.insert(0, {here!r})
import test_trajectory as it
torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(int(sys.argv[1]))
print(it.trajectory(it.program()).digest, it.trajectory(it.convolution).digest)
"""


def convolution():
    """A model whose sums are long enough to depend on how threads share them."""
    model = nn.Sequential(nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.LazyLinear(10))
    optimizer = None

    def step(batch):
        nonlocal optimizer
        loss = model(batch["x"]).square().mean()
        optimizer = optimizer or torch.optim.SGD(model.parameters(), 0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return Trainee(model, {"x": torch.randn(16, 8, 32, 32)}, step)


def test_it_is_the_same_in_another_process_with_other_threads():
    script = SCRIPT.format(here=str(Path(__file__).parent))
    told = [
        subprocess.check_output([sys.executable, "-c", script, threads], text=True).split()
        for threads in ("1", "4")
    ]
    assert told[0] == told[1] == [trajectory(program()).digest, trajectory(convolution).digest]


def test_the_callers_state_stays_as_it_was():
    def seen():
        return (
            torch.get_rng_state().tolist(),
            random.getstate(),
            torch.get_num_threads(),
            torch.get_deterministic_debug_mode(),
            torch.get_default_dtype(),
            torch.backends.mkldnn.is_available() and torch._C._get_mkldnn_enabled(),
            list(warnings.filters),
        )

    before = seen()
    trajectory(program(draws=["first"]))
    with pytest.raises(ZeroDivisionError):
        trajectory(lambda: 1 / 0)
    assert seen() == before


def test_a_tensor_elsewhere_is_no_trajectory():
    def net():
        model = Net()
        model.register_buffer("table", torch.zeros(2, device="meta"))
        return model

    with pytest.raises(Skip, match="on meta"):
        trajectory(program(net=net))


def test_bits_are_compared_and_not_values():
    zero = torch.zeros(2)
    assert digest_of(zero) != digest_of(-zero)
    assert digest_of(zero) != digest_of(zero.double())
    assert digest_of(zero) != digest_of(zero.reshape(1, 2))
    assert digest_of(torch.tensor([1 + 2j]).conj()) == digest_of(torch.tensor([1 - 2j]))
    assert digest_of({"a": 1, "b": [0.1]}) == digest_of({"b": [0.1], "a": 1})
    assert digest_of({"a": 1, "b": [0.1]}) != digest_of({"b": [0.2], "a": 1})


def test_exact_blocks_nest():
    threads = torch.get_num_threads()
    with exactly(), exactly():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads
