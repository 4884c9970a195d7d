"""Tensors in place of parameters: no module has registered them, and no optimizer holds them."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn
from torch.utils.checkpoint import checkpoint

import torchproof
from torchproof import Trainee


RULE = "parameter-sets"


class Settings:
    """Holds what it is given."""


def test_a_layer_in_an_object_that_is_no_module(caught):
    class Held(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.parts = nn.Linear(4, 4), Settings()
            self.parts.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.parts.head(self.body(x))

    finding, _ = caught(RULE, lambda: zoo.classifier(Held(), zoo.classes(4)))
    assert "parts.head.weight" in finding.message


class Scaled(nn.Module):
    """Multiplies its inputs by a weight before the layers see them."""

    def __init__(self, hold):
        super().__init__()
        self.net = zoo.mlp()
        hold(self)

    def forward(self, x):
        return self.net(x * self.w)  # here


def scaled(hold):
    return lambda: zoo.classifier(Scaled(hold), zoo.classes(4))


def multiplied_parameter(module):
    module.w = nn.Parameter(torch.ones(4)) * 0.5


def parameter_of_another_type(module):
    module.w = nn.Parameter(torch.ones(4, dtype=torch.float64)).to(torch.float32)


def scaled_tensor(module):
    module.w = torch.randn(4, requires_grad=True) / 2


@pytest.mark.parametrize(
    "hold",
    [multiplied_parameter, parameter_of_another_type, scaled_tensor],
    ids=lambda f: f.__name__,
)
def test_an_attribute_computed_from_a_parameter_that_nobody_holds(caught, hold):
    finding, _ = caught(RULE, scaled(hold))
    assert "w was computed from a parameter when the model was built" in finding.message
    assert "self.w = torch.nn.Parameter" in finding.remedy


def test_a_step_that_fails_the_second_time_for_it_is_a_proof_and_no_exception():
    proof = torchproof.prove(scaled(multiplied_parameter))
    (finding,) = proof.findings
    assert (finding.rule, finding.severity) == (RULE, "error")
    assert proof.skipped["resume"] == "the step cannot be called twice"


def test_other_rules_do_not_hide_that_the_step_fails():
    with pytest.raises(RuntimeError, match="second time"):
        torchproof.prove(scaled(multiplied_parameter), rules=["resume"])


def test_a_buffer_that_requires_a_gradient(caught):
    def hold(module):
        module.register_buffer("w", torch.ones(4, requires_grad=True))

    finding, line = caught(RULE, scaled(hold))
    assert "Gradients arrive at w at every call" in finding.message
    assert line.endswith("# here")


def with_temperature(use):
    """Divide the logits by a temperature, a plain tensor that stands outside the model."""

    def build():
        model, log_heat = zoo.mlp(), torch.zeros((), requires_grad=True)
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]) * log_heat.exp(), batch["y"])
            loss.backward()
            optimizer.step()
            use(log_heat)
            return loss.detach()

        return Trainee(model, zoo.classes(4), step)

    return build


def test_a_tensor_beside_the_model_that_no_optimizer_holds(caught):
    finding, _ = caught(RULE, with_temperature(lambda _: None))
    assert "a tensor of shape ()" in finding.message


def test_a_tensor_that_is_moved_by_hand():
    def descend(tensor):
        with torch.no_grad():
            tensor -= 0.1 * tensor.grad
        tensor.grad = None

    assert torchproof.prove(with_temperature(descend), rules=[RULE]).passed


def test_a_tensor_whose_gradient_is_asked_for():
    seen = []
    assert torchproof.prove(
        with_temperature(lambda t: seen.append(t.grad.item())), rules=[RULE]
    ).passed


def test_inputs_that_require_gradients_in_each_call():
    def build():
        model = zoo.mlp(outputs=1)
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)

        def step(batch):
            optimizer.zero_grad()
            x = batch["x"].clone().requires_grad_()
            energy = model(x).sum()
            (force,) = torch.autograd.grad(energy, x, create_graph=True)
            loss = F.mse_loss(force, batch["y"])
            loss.backward()
            optimizer.step()
            return loss.detach()

        batch = {"x": torch.randn(6, 4), "y": torch.randn(6, 4)}
        return Trainee(model, batch, step)

    assert torchproof.prove(build, rules=[RULE]).passed


def test_weight_norm_computes_from_what_is_registered():
    def build():
        with pytest.warns(FutureWarning):
            first = torch.nn.utils.weight_norm(nn.Linear(4, 8))
        return zoo.classifier(nn.Sequential(first, nn.ReLU(), nn.Linear(8, 3)), zoo.classes(4))

    assert torchproof.prove(build, rules=[RULE]).passed


def test_a_loss_kept_by_forward_is_not_computed_once():
    class Kept(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = zoo.mlp()

        def forward(self, x):
            logits = self.net(x)
            self.extra = logits.pow(2).mean()
            return logits

    assert torchproof.prove(lambda: zoo.classifier(Kept(), zoo.classes(4)), rules=[RULE]).passed


def test_the_tensor_that_makes_checkpointing_begin():
    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
            self.dummy = torch.ones(1, requires_grad=True)

        def forward(self, x):
            hidden = checkpoint(lambda x, _: self.body(x), x, self.dummy, use_reentrant=True)
            return self.head(hidden)

    build = lambda: zoo.classifier(Checkpointed(), zoo.classes(4))  # noqa: E731 - one line
    assert torchproof.prove(build, rules=[RULE]).passed
