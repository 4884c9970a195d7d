"""Bugs of the class `parameter-sets`; the marked line is where it shows."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
import zoo
from torch import nn

import torchproof


RULE = "parameter-sets"


def net():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def test_an_optimizer_for_the_head_only(caught):
    def build():
        model = net()
        optimizer = torch.optim.Adam(model[2].parameters())  # here
        return zoo.classifier(model, zoo.classes(4), optimizer)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert "at 0.weight, 0.bias, but no optimizer" in finding.message
    assert "frozen=('0.weight',)" in finding.remedy


def test_a_layer_replaced_after_the_optimizer_was_built(caught):
    def build():
        model = net()
        optimizer = torch.optim.Adam(model.parameters())  # here
        model[2] = nn.Linear(8, 3)
        return zoo.classifier(model, zoo.classes(4), optimizer)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert finding.evidence["of these not the model's"] == 2
    assert "after the last change to the model" in finding.remedy


def test_an_optimizer_of_another_copy(caught):
    def build():
        model = net()
        optimizer = torch.optim.Adam(copy.deepcopy(model).parameters())
        return zoo.classifier(model, zoo.classes(4), optimizer)

    finding, _ = caught(RULE, build)
    assert finding.evidence["parameters"] == 4


def test_biases_dropped_by_a_filter(caught):
    def build():
        model = net()
        chosen = [each for name, each in model.named_parameters() if "weight" in name]
        return zoo.classifier(model, zoo.classes(4), torch.optim.Adam(chosen))

    finding, _ = caught(RULE, build)
    assert " 0.bias, 2.bias," in finding.message


def test_layers_in_a_python_list(caught):
    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(4, 4), nn.Linear(4, 4)]
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x).relu()  # here
            return self.head(x)

    finding, line = caught(RULE, lambda: zoo.classifier(Stack(), zoo.classes(4)))
    assert line.endswith("# here")
    assert "layers[0].weight" in finding.message
    assert finding.remedy == "self.layers = torch.nn.ModuleList(...)  # instead of a list"


def test_a_tensor_that_is_no_parameter(caught):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.ones(4, requires_grad=True)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(x * self.scale)  # here

    finding, line = caught(RULE, lambda: zoo.classifier(Scaled(), zoo.classes(4)))
    assert line.endswith("# here")
    assert finding.remedy == "self.scale = torch.nn.Parameter(...)"


class Cut(nn.Module):
    def __init__(self, between):
        super().__init__()
        self.body, self.head, self.between = nn.Linear(4, 8), nn.Linear(8, 3), between

    def forward(self, x):
        z = self.body(x)  # here
        return self.head(self.between(z))


@pytest.mark.parametrize(
    "between",
    [
        lambda z: z.detach(),
        lambda z: z.data,
        lambda z: torch.tensor(z.tolist()),
        lambda z: F.one_hot(z.argmax(1), 8).float(),
    ],
    ids=["detach", "data", "list", "argmax"],
)
def test_a_path_that_is_cut(caught, between):
    finding, line = caught(RULE, lambda: zoo.classifier(Cut(between), zoo.classes(4)))
    assert line.endswith("# here")
    assert "depends on body.weight, body.bias, but no gradient arrives" in finding.message


def test_features_without_gradient(caught):
    class Features(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x):
            with torch.no_grad():
                z = self.body(x).relu()
            return self.head(z)

    caught(RULE, lambda: zoo.classifier(Features(), zoo.classes(4)))


def test_backward_forgotten(caught):
    def build():
        model = net()
        optimizer = torch.optim.Adam(model.parameters())

        def step(batch):
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            optimizer.step()  # here
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    finding, line = caught(RULE, build)
    assert line.endswith("# here")
    assert finding.evidence == {"optimizer steps": 3, "backward passes": 0}


def test_a_branch_that_nothing_uses_is_a_warning():
    class Extra(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.extra = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            self.extra(x)
            return self.body(x)

    proof = torchproof.prove(lambda: zoo.classifier(Extra(), zoo.classes(4)), rules=[RULE])
    (finding,) = proof.findings
    assert proof.passed
    assert finding.severity == "warning"
    assert finding.message.startswith(
        "No gradient arrives at extra.weight, extra.bias; the loss does"
    )


def test_cut_and_unused_are_told_apart(caught):
    class Both(Cut):
        def __init__(self):
            super().__init__(lambda z: z.detach())
            self.extra = nn.Linear(2, 2)

    finding, _ = caught(RULE, lambda: zoo.classifier(Both(), zoo.classes(4)))
    assert "depends on body.weight, body.bias, but" in finding.message


def test_a_frozen_part_given_to_no_optimizer_and_put_in_eval_mode_is_a_warning():
    def build():
        model = net()
        model[0].eval()
        optimizer = torch.optim.Adam(model[2].parameters())

        def step(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    (finding,) = torchproof.prove(build, rules=[RULE]).findings
    assert finding.severity == "warning"


def test_training_by_hand_is_not_judged():
    def build():
        model = net()

        def step(batch):
            model.zero_grad()
            loss = F.cross_entropy(model(batch["x"]), batch["y"])
            loss.backward()
            with torch.no_grad():
                for each in model.parameters():
                    each.sub_(0.1 * each.grad)
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    assert "no torch optimizer" in torchproof.prove(build, rules=[RULE]).skipped[RULE]


@pytest.mark.parametrize("build", zoo.HEALTHY, ids=lambda build: build.__name__)
def test_right_programs_have_no_error(build):
    findings = torchproof.prove(build, rules=[RULE]).findings
    assert all(each.severity != "error" for each in findings)
