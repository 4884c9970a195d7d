"""Bugs of the class `finite-gradients`; the marked line is where it shows."""

import lookalikes
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof
from torchproof import Trainee


RULE = "finite-gradients"


class Distance(nn.Module):
    def __init__(self, root):
        super().__init__()
        self.body, self.root = nn.Linear(4, 3), root

    def forward(self, x):
        return self.root(self.body(x))


def program(root):
    return lambda: zoo.classifier(Distance(root), zoo.classes(4))


def test_the_square_root_of_zero_masked_behind_it(caught):
    def root(z):
        length = z.sqrt()  # here
        return torch.where(z > 0, length, torch.zeros_like(z))

    finding, line = caught(RULE, program(root))
    assert line.endswith("# here")
    assert "made by the backward of Sqrt" in finding.message


def test_a_norm_of_nothing(caught):
    def build():
        model = nn.Linear(4, 3)

        def loss(model, batch):
            z = model(batch["x"])
            same = (z - z.detach()).pow(2).sum(1).sqrt().mean()  # here
            return F.cross_entropy(z, batch["y"]) + same

        return lookalikes.trained_with(loss, model)

    _, line = caught(RULE, build)
    assert line.endswith("# here")


def test_nan_replaced_before_the_update(caught):
    def build():
        model = Distance(lambda z: torch.where(z > 0, z.sqrt(), 0.0 * z))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            for each in model.parameters():
                each.grad.nan_to_num_(0.0, 0.0, 0.0)
            optimizer.step()
            return loss

        return Trainee(model, zoo.classes(4), step)

    finding, _ = caught(RULE, build)
    assert finding.evidence["backward passes with it"] == "3 of 3"


def test_a_logarithm_of_zero(caught):
    def build():
        def loss(model, batch):
            shares = (1e3 * model(batch["x"])).softmax(1)
            return torch.where(shares > 0, shares * shares.log(), 0.0 * shares).sum(1).mean()

        return lookalikes.trained_with(loss, nn.Linear(4, 3))

    caught(RULE, build)


def test_a_scaler_may_overflow():
    build = lookalikes.scaler_that_has_to_find_its_scale
    assert not torchproof.prove(build, rules=[RULE]).findings


def test_a_safe_square_root_is_silent():
    proof = torchproof.prove(program(lambda z: (z.relu() + 1e-8).sqrt()), rules=[RULE])
    assert not proof.findings


def hooked(root):
    """Hooks on the parameters turn what is not finite into zeros."""

    def build():
        model = nn.Linear(4, 3)
        nn.init.zeros_(model.bias)
        for each in model.parameters():
            each.register_hook(torch.nan_to_num)

        def loss(model, batch):
            return (root(model(batch["x"]).pow(2).sum(1)) - 1).pow(2).mean()  # here

        batch = zoo.classes(4)
        batch["x"][0] = 0
        return lookalikes.trained_with(loss, model, batch)

    return build


def test_a_gradient_that_a_hook_makes_finite(caught):
    finding, line = caught(RULE, hooked(lambda squares: squares.sqrt()))
    assert line.endswith("# here")
    assert "hooks" in finding.evidence["backward passes with it"]


def test_a_hook_that_meets_finite_gradients_is_silent():
    build = hooked(lambda squares: (squares + 1e-6).sqrt())
    assert not torchproof.prove(build, rules=[RULE]).findings
