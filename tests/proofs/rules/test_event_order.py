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


def by_hand(model):
    for each in model.parameters():
        each.grad.clamp_(-0.01, 0.01)


def by_hand_anew(model):
    for each in model.parameters():
        each.grad = each.grad.clamp(-0.01, 0.01)


def by_norm(model):
    norm = torch.stack([each.grad.norm() for each in model.parameters()]).norm()
    for each in model.parameters():
        each.grad.data.div_(1 + norm)


def changing(change, *, before=False, clear=True, scale=0.0):
    """Change the gradients by hand, behind the update or before it."""

    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale or 1.0, enabled=scale > 0)

        def step(batch):
            if clear:
                optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            scaler.scale(loss).backward()
            if before:
                change(model)
            scaler.step(optimizer)  # here
            scaler.update()
            if not before:
                change(model)
            return loss

        return Trainee(model, zoo.classes(4), step)

    return build


@pytest.mark.parametrize("change", [by_hand, by_hand_anew, by_norm])
def test_changes_by_hand_that_come_too_late(caught, change):
    finding, line = caught(RULE, changing(change))
    assert "the change is lost" in finding.message
    assert "grad" in line
    assert not torchproof.prove(changing(change, before=True), rules=[RULE]).findings


def shown(model):
    for each in model.parameters():
        each.grad.abs_()
    shown.largest = max(float(each.grad.max()) for each in model.parameters())


def measured(model):
    nn.utils.clip_grad_norm_(model.parameters(), float("inf"))


def cleared(model):
    for each in model.parameters():
        each.grad.zero_()


@pytest.mark.parametrize("change", [shown, measured, cleared])
def test_gradients_that_are_read_or_cleared_behind_the_update_are_silent(change):
    assert not torchproof.prove(changing(change), rules=[RULE]).findings


def decayed(model):
    for each in model.parameters():
        each.grad.mul_(0.9)


def multiplied_by_nothing(model):
    for each in model.parameters():
        each.grad.mul_(0.0)


@pytest.mark.parametrize("change", [decayed, multiplied_by_nothing])
def test_gradients_that_are_kept_for_the_next_update_are_silent(change):
    proof = torchproof.prove(changing(change, clear=False), rules=[RULE, "stale-gradients"])
    assert not proof.findings
    assert "keeps them" in proof.skipped["stale-gradients"]


@pytest.mark.parametrize("change", [by_hand, by_hand_anew, by_norm])
def test_clipping_scaled_gradients_by_hand(caught, change):
    finding, line = caught(RULE, changing(change, before=True, scale=1024.0))
    assert line.endswith("# here")
    assert "depends on the loss scale" in finding.message


def averaged(model):
    for each in model.parameters():
        each.grad.div_(3)


@pytest.mark.parametrize("change", [averaged, measured])
def test_changes_that_the_loss_scale_passes_through_are_silent(change):
    assert not torchproof.prove(changing(change, before=True, scale=1024.0), rules=[RULE]).findings


class Inherits(torch.optim.lr_scheduler.StepLR):
    """Counts its steps and leaves the rest to the class it inherits from."""

    def step(self, *epoch):
        self.steps = getattr(self, "steps", 0) + 1
        super().step(*epoch)


def scheduled(times, *, parts=1, updates=1, given=(), kind=torch.optim.lr_scheduler.StepLR):
    """Step a scheduler so many times behind each update."""

    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        scheduler = kind(optimizer, 1000)

        def step(batch):
            for _ in range(updates):
                optimizer.zero_grad()
                for _ in range(parts):
                    loss = F.cross_entropy(model(batch["x"]), batch["y"]) / parts
                    loss.backward()
                optimizer.step()
                for _ in range(times):
                    scheduler.step(*given)  # here
            return loss

        return Trainee(model, zoo.classes(4), step)

    return build


@pytest.mark.parametrize(("times", "parts"), [(3, 3), (8, 1), (6, 6)])
def test_a_scheduler_that_counts_micro_batches_or_processes(caught, times, parts):
    finding, line = caught(RULE, scheduled(times, parts=parts))
    assert line.endswith("# here")
    assert f"{times} times for one update" in finding.message


RESTARTS = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts


@pytest.mark.parametrize(
    "build",
    [
        scheduled(1),
        scheduled(1, parts=4),
        scheduled(1, updates=4),
        scheduled(1, kind=Inherits),
        scheduled(6),  # one for each row of the batch
        scheduled(3, given=(0.5,), kind=RESTARTS),
    ],
)
def test_schedulers_that_count_something_else_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def parts(*, clear, look=lambda model: None, watch=lambda logits: None):
    """Accumulate gradients of three parts of the batch; clear them before each, or once."""

    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            for x, y in zip(batch["x"].split(2), batch["y"].split(2)):
                if clear:
                    optimizer.zero_grad()
                logits = model(x)
                watch(logits)
                loss = F.cross_entropy(logits, y) / 3
                loss.backward()  # here
                look(model)
            optimizer.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    return build


def test_gradients_cleared_before_each_part_of_the_batch(caught):
    finding, line = caught(RULE, parts(clear=True))
    assert line.endswith("# here")
    assert "cleared before anything reads them" in finding.message


def keep_a_copy(model):
    parts.kept = [each.grad.clone() for each in model.parameters()]


@pytest.mark.parametrize(
    "build",
    [
        parts(clear=False),
        parts(clear=True, look=keep_a_copy),
        parts(clear=True, watch=lambda logits: logits.register_hook(lambda gradient: None)),
    ],
)
def test_gradients_that_something_reads_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def penalties_now_and_then():
    """The generator goes backward in each call and steps in every tenth."""
    generator, critic = zoo.mlp(2, 4), zoo.mlp(4, 1)
    of_generator, of_critic = (torch.optim.Adam(each.parameters()) for each in (generator, critic))
    calls = []

    def step(batch):
        calls.append(None)
        of_generator.zero_grad()
        F.softplus(-critic(generator(torch.randn(6, 2)))).mean().backward()
        if len(calls) % 10 == 0:
            of_generator.step()
        of_critic.zero_grad()
        fake = generator(torch.randn(6, 2)).detach()
        loss = F.softplus(critic(fake)).mean() + F.softplus(-critic(batch["x"])).mean()
        loss.backward()
        of_critic.step()
        return loss

    models = {"generator": generator, "critic": critic}
    return Trainee(models, {"x": torch.randn(6, 4)}, step, target=None)


def test_gradients_that_wait_for_a_later_call_are_silent():
    assert not torchproof.prove(penalties_now_and_then, rules=[RULE]).findings
