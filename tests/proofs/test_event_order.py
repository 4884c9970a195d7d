"""Bugs of the class `event-order`; the marked line is where it shows."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "event-order"


def divide(model, scale):
    for parameter in model.parameters():
        parameter.grad /= scale


def program(order, *, scaled=False, clip=nn.utils.clip_grad_norm_):
    """Build a step that does its parts in this order: forward, backward, clip, ..."""

    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        scaler = torch.amp.GradScaler("cpu", enabled=scaled)
        held = {}

        def forward(batch):
            held["loss"] = F.cross_entropy(model(batch["x"]), batch["y"])

        parts = {
            "forward": forward,
            "zero": lambda _: optimizer.zero_grad(),
            "zeros": lambda _: optimizer.zero_grad(set_to_none=False),
            "backward": lambda _: scaler.scale(held["loss"]).backward(),
            "unscale": lambda _: scaler.unscale_(optimizer),
            "clip": lambda _: clip(model.parameters(), 1.0),
            "step": lambda _: (scaler.step(optimizer), scaler.update()),
            "plain-step": lambda _: optimizer.step(),
            "divide": lambda _: divide(model, scaler.get_scale()),
            "schedule": lambda _: scheduler.step(),
        }

        def step(batch):
            for name in order.split():
                parts[name](batch)
            return held["loss"]

        return Trainee(model, zoo.classes(4), step)

    return build


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ("forward backward zero step", "cleared between backward() and optimizer.step()"),
        ("forward backward zeros step", "cleared between backward() and optimizer.step()"),
        ("zero forward step backward", "between the forward pass and its backward()"),
        ("forward zero clip backward step", "before backward() has made them"),
        ("zero forward backward step clip", "after optimizer.step() has used them"),
        ("zero forward backward schedule step", "before the first optimizer.step()"),
        ("zero schedule forward backward step", "before the first optimizer.step()"),
    ],
)
def test_parts_of_a_step_in_a_wrong_order(caught, order, sentence):
    finding, _ = caught(RULE, program(order))
    assert sentence in finding.message
    assert finding.location


def test_clipping_scaled_gradients(caught):
    finding, line = caught(RULE, program("zero forward backward clip step", scaled=True))
    assert "clip(model.parameters(), 1.0)" in line
    assert "65536 times too large" in finding.message
    assert "scaler.unscale_(optimizer)" in finding.remedy


def test_an_update_by_scaled_gradients(caught):
    finding, line = caught(RULE, program("zero forward backward plain-step", scaled=True))
    assert "optimizer.step()" in line
    assert "65536 times too large" in finding.message


def test_clipping_what_a_used_up_generator_gives(caught):
    def build():
        model = zoo.mlp()
        parameters = model.parameters()
        optimizer = torch.optim.SGD(parameters, 0.1)

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)  # here
            optimizer.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert "no parameters at all" in finding.message


def test_clipping_values_after_the_step(caught):
    order = "zero forward backward step clip"
    caught(RULE, program(order, clip=nn.utils.clip_grad_value_))


@pytest.mark.parametrize(
    ("order", "scaled"),
    [
        ("zero forward backward clip step schedule", False),
        ("zero forward backward unscale clip step schedule", True),
        ("zero forward backward divide plain-step", True),
        ("zero forward backward plain-step", False),
        ("forward zero backward step", False),
        ("forward backward step zero", True),
        ("step zero forward backward", False),
        ("zero forward backward forward backward clip step", False),
    ],
)
def test_right_orders_are_silent(order, scaled):
    assert not torchproof.prove(program(order, scaled=scaled), rules=[RULE]).findings


def test_a_scheduler_that_counts_accumulation_is_a_warning():
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10)
        calls = []

        def step(batch):
            calls.append(None)
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            if len(calls) % 2 == 0:
                optimizer.step()
                optimizer.zero_grad()
            scheduler.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"
    assert "4 times for 2 updates" in finding.message


def test_the_line_is_the_users(caught):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.Adam(model.parameters())

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # here
            return loss

        return Trainee(model, zoo.classes(4), step)

    _, line = caught(RULE, build)
    assert line.endswith("# here")
