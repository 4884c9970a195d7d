"""Bugs of the class `resume`."""

import copy

import lookalikes
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "resume"


class Momentum(torch.optim.Optimizer):
    """Keeps its memory outside ``self.state``."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})
        self.memory = [torch.zeros_like(each) for each in self.param_groups[0]["params"]]

    @torch.no_grad()
    def step(self, closure=None):
        for each, old in zip(self.param_groups[0]["params"], self.memory):
            old.mul_(0.9).add_(each.grad)
            each.sub_(old, alpha=0.1)


def with_optimizer(kind):
    def build():
        model = zoo.mlp()
        return zoo.classifier(model, zoo.classes(4), kind(model.parameters()))

    return build


def test_momentum_kept_in_an_attribute(caught):
    finding, _ = caught(RULE, with_optimizer(Momentum))
    assert "Momentum.memory changes while training and is not in the state_dict" in finding.message


class Signs(torch.optim.Optimizer):
    """Moves by the sign of an average, kept in ``self.state`` or not."""

    def __init__(self, params, saved=False):  # noqa: FBT002 - a variant, not a switch
        super().__init__(params, {"lr": 0.01})
        self.saved, self.averages = saved, {}

    @torch.no_grad()
    def step(self, closure=None):
        for each in self.param_groups[0]["params"]:
            kept = self.state[each] if self.saved else self.averages.setdefault(each, {})
            old = kept.setdefault("average", torch.zeros_like(each))
            each.sub_(old.mul_(0.9).add_(each.grad, alpha=0.1).sign(), alpha=0.01)


def test_an_average_of_which_only_the_sign_is_used(caught):
    caught(RULE, with_optimizer(Signs))


class Warmup(torch.optim.lr_scheduler.LRScheduler):
    def get_lr(self):
        return [base * min(1.0, (self.last_epoch + 1) / 9) for base in self.base_lrs]


class Forgetful(Warmup):
    def state_dict(self):  # here
        return {"base_lrs": self.base_lrs}


class Brief(Warmup):
    def state_dict(self):
        return {"base_lrs": self.base_lrs, "last_epoch": self.last_epoch}


def scheduled(kind):
    def build():
        model = zoo.mlp()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        scheduler = kind(optimizer)
        trainee = zoo.classifier(model, zoo.classes(4), optimizer, scheduler=scheduler)
        inner = trainee.step

        def step(batch):
            loss = inner(batch)
            scheduler.step()
            return loss

        trainee.step = step
        return trainee

    return build


def test_a_schedule_that_forgets_where_it_is(caught):
    finding, line = caught(RULE, scheduled(Forgetful))
    assert line.endswith("# here")
    assert "the next learning rate is" in finding.message


@pytest.mark.parametrize("kind", [Warmup, Brief])
def test_a_schedule_that_goes_on_is_silent(kind):
    assert not torchproof.prove(scheduled(kind), rules=[RULE]).findings


def test_an_average_that_is_saved_is_silent():
    build = with_optimizer(lambda params: Signs(params, saved=True))
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_momentum_in_a_dictionary_by_position(caught):
    class Named(Momentum):
        def __init__(self, params):
            super().__init__(params)
            self.named = dict(enumerate(self.memory))

        @torch.no_grad()
        def step(self, closure=None):
            for place, each in enumerate(self.param_groups[0]["params"]):
                self.named[place] = 0.9 * self.named[place] + each.grad
                each.sub_(self.named[place], alpha=0.1)

    finding, _ = caught(RULE, with_optimizer(Named))
    assert finding.evidence["attributes lost"] == 1


def test_a_memory_made_at_the_first_step(caught):
    class Late(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 0.1})
            self.mean = None

        @torch.no_grad()
        def step(self, closure=None):
            (first, *_), *_ = (group["params"] for group in self.param_groups)
            size = first.grad.norm()
            self.mean = size if self.mean is None else 0.9 * self.mean + 0.1 * size
            for each in self.param_groups[0]["params"]:
                each.sub_(each.grad / self.mean, alpha=0.1)

    caught(RULE, with_optimizer(Late))


def test_a_count_is_a_warning():
    class Counting(torch.optim.SGD):
        count = 0

        def step(self, closure=None):
            self.count += 1
            self.param_groups[0]["lr"] = 0.1 / self.count
            return super().step(closure)

    Counting.__module__ = __name__
    proof = torchproof.prove(with_optimizer(lambda p: Counting(p, 0.1)), rules=[RULE])
    assert [each.severity for each in proof.findings] == ["warning"]


def test_a_flag_that_stands_for_hooks_is_silent():
    """Without the flag the hooks would be installed once more, which no resumed run does."""

    class Doubling(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.installed = nn.Linear(4, 8), nn.Linear(8, 3), False

        def forward(self, x):
            if not self.installed:
                self.body.register_forward_hook(lambda *call: 2 * call[-1])
                self.installed = True
            return self.head(self.body(x))

    proof = torchproof.prove(lambda: zoo.classifier(Doubling(), zoo.classes(4)), rules=[RULE])
    assert not proof.findings


def test_a_hidden_state_is_a_warning():
    class Stateful(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head, self.h = nn.GRUCell(4, 8), nn.Linear(8, 3), None

        def forward(self, x):
            self.h = self.cell(x, None if self.h is None else self.h.detach())
            return self.head(self.h)

    proof = torchproof.prove(lambda: zoo.classifier(Stateful(), zoo.classes(4)), rules=[RULE])
    assert [each.severity for each in proof.findings] == ["warning"]


class Levelled(nn.Module):
    """Divides its loss by what ``follow`` makes of the losses so far."""

    def __init__(self, follow, start, *, persistent=False):
        super().__init__()
        self.body, self.follow = zoo.mlp(), follow
        if isinstance(start, torch.Tensor):
            self.register_buffer("level", start, persistent=persistent)
        else:
            self.level = start

    def forward(self, x):
        return self.body(x)


def levelled(follow, start, used=True, **options):  # noqa: FBT002 - a variant, not a switch
    def build():
        def loss_of(model, batch):
            value = F.cross_entropy(model(batch["x"]), batch["y"])
            model.level = model.follow(model.level, value.detach())
            return value / model.level if used else value

        return lookalikes.trained_with(loss_of, Levelled(follow, start, **options))

    return build


def average(level, value):
    return 0.9 * level + 0.1 * value


def test_a_moving_average_in_a_buffer_that_is_not_saved(caught):
    finding, _ = caught(RULE, levelled(average, torch.ones(())))
    assert "Levelled.level" in finding.message


def test_a_moving_average_in_a_plain_number(caught):
    caught(RULE, levelled(lambda level, value: float(average(level, value)), 1.0))


@pytest.mark.parametrize(
    "follow",
    [
        lambda level, value: level + 1,
        lambda level, value: torch.tanh(level + value) + 1,
        lambda level, value: value,
    ],
    ids=["a count", "a hidden state", "the loss before"],
)
def test_what_is_no_average_is_at_most_a_warning(follow):
    assert torchproof.prove(levelled(follow, torch.ones(())), rules=[RULE]).passed


@pytest.mark.parametrize(
    "build",
    [
        levelled(average, torch.ones(()), persistent=True),
        levelled(lambda level, value: float(average(level, value)), 1.0, used=False),
    ],
    ids=["saved", "for the log"],
)
def test_an_average_that_is_saved_or_only_shown_is_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_an_average_in_a_buffer_only_for_the_log_is_a_warning():
    assert torchproof.prove(levelled(average, torch.ones(()), used=False), rules=[RULE]).passed


@pytest.mark.parametrize("build", [lookalikes.lookahead, zoo.sharpness_aware_minimisation])
def test_memory_in_the_state_is_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_what_is_remembered_and_not_used_is_silent():
    class Logging(torch.optim.SGD):
        def __init__(self, params):
            super().__init__(params, 0.1)
            self.norms = []

        def step(self, closure=None):
            self.norms.append(float(self.param_groups[0]["params"][0].grad.norm()))
            return super().step(closure)

    assert not torchproof.prove(with_optimizer(Logging), rules=[RULE]).findings


def made_for_each_update(make, inner=1, between=lambda model, first: None):
    """Make the optimizer in the step, for so many updates."""

    def build():
        model = zoo.mlp()

        def step(batch):
            first = [each.detach().clone() for each in model.parameters()]
            optimizer = make(model)
            for _ in range(inner):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(batch["x"]), batch["y"])
                loss.backward()
                optimizer.step()  # here
            between(model, first)
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    return build


def adam(model):
    return torch.optim.Adam(model.parameters())


def heavy_ball(model):
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)


def gradient_descent(model):
    return torch.optim.SGD(model.parameters(), 0.1)


@pytest.mark.parametrize("make", [adam, heavy_ball])
def test_an_optimizer_made_for_each_update(caught, make):
    finding, line = caught(RULE, made_for_each_update(make))
    assert line.endswith("# here")
    assert "thrown away every time" in finding.message


def emptied():
    model = zoo.mlp()
    optimizer = torch.optim.Adam(model.parameters())

    def step(batch):
        optimizer.state.clear()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch["x"]), batch["y"])
        loss.backward()
        optimizer.step()
        return loss

    return torchproof.Trainee(model, zoo.classes(4), step)


def test_a_state_that_is_emptied_before_each_update(caught):
    finding, _ = caught(RULE, emptied)
    assert "is emptied before each update" in finding.message


def half_way(model, first):
    """Go part of the way from where the inner learner began (Reptile)."""
    with torch.no_grad():
        for each, start in zip(model.parameters(), first):
            each.lerp_(start, 0.5)


def on_a_copy():
    model = zoo.mlp()
    outer = torch.optim.Adam(model.parameters())

    def step(batch):
        learner = copy.deepcopy(model)
        inner = torch.optim.Adam(learner.parameters())
        F.cross_entropy(learner(batch["x"]), batch["y"]).backward()
        inner.step()
        learner.zero_grad()
        loss = F.cross_entropy(learner(batch["x"]), batch["y"])
        for each, gradient in zip(
            model.parameters(), torch.autograd.grad(loss, [*learner.parameters()])
        ):
            each.grad = gradient
        outer.step()
        return loss

    return torchproof.Trainee(model, zoo.classes(4), step)


def with_its_state_loaded():
    saved = {}

    def make(model):
        optimizer = adam(model)
        if saved:
            optimizer.load_state_dict(saved["state"])
        saved["optimizer"] = optimizer
        return optimizer

    def keep(model, first):
        saved["state"] = saved["optimizer"].state_dict()

    saved.clear()
    return made_for_each_update(make, between=keep)()


@pytest.mark.parametrize(
    "build",
    [
        made_for_each_update(gradient_descent),
        made_for_each_update(adam, inner=3),
        made_for_each_update(adam, between=half_way),
        on_a_copy,
        with_its_state_loaded,
    ],
)
def test_learners_that_start_anew_on_purpose_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
