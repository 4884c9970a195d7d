"""Bugs of the class `compile-parity`, with the back ends that need no C compiler."""

import warnings

import pytest
import torch
import zoo
from torch import nn

import torchproof


RULE = "compile-parity"
pytestmark = pytest.mark.skipif(
    not hasattr(torch.compiler, "set_stance"), reason="compilation cannot be switched off"
)


class Net(nn.Module):
    def __init__(self, *, shortcut=False, dropout=0.0):
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.dropout, self.shortcut = nn.Dropout(dropout), shortcut

    def forward(self, x):  # here
        logits = self.head(self.dropout(self.body(x).relu()))
        if self.shortcut and torch.compiler.is_compiling():
            return logits
        return logits / 0.7


def compiled(*, in_place=False, **options):
    def build():
        model = Net(**options)
        if in_place:
            model.compile(backend="eager")
        else:
            model = torch.compile(model, backend="eager")
        return zoo.classifier(model, zoo.classes(4))

    return build


@pytest.mark.parametrize("in_place", [False, True])
def test_compiled_code_that_computes_something_else(caught, in_place):
    finding, line = caught(RULE, compiled(shortcut=True, in_place=in_place))
    assert line.endswith("# here")
    assert finding.evidence["compiled"] != pytest.approx(finding.evidence["eager"], rel=1e-3)


@pytest.mark.parametrize("as_function", [False, True])
def test_what_only_the_step_refers_to(caught, as_function):
    def build():
        model = Net(shortcut=True)
        fast = torch.compile(model.forward if as_function else model, backend="eager")
        optimizer = torch.optim.SGD(model.parameters(), 0.1)

        def step(batch):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(fast(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            return loss

        return torchproof.Trainee(model, zoo.classes(4), step)

    _, line = caught(RULE, build)
    assert line.endswith("# here")


def served(**options):
    """Train the model as it is written and predict with its compiled form."""

    def build():
        model = Net(**options).eval()
        fast = torch.compile(model, backend="eager")
        return zoo.classifier(
            model, zoo.classes(4), predict=lambda batch: fast(batch["x"]).detach()
        )

    return build


def test_what_only_predict_refers_to(caught):
    finding, line = caught(RULE, served(shortcut=True))
    assert line.endswith("# here")
    assert "Compiled, Net predicts something else than its code" in finding.message
    assert not torchproof.prove(served(), rules=[RULE]).findings


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_right_model_is_silent(dtype):
    def build():
        trainee = compiled()()
        trainee.model.to(dtype)
        trainee.batch["x"] = trainee.batch["x"].to(dtype)
        return trainee

    proof = torchproof.prove(build, rules=[RULE])
    assert not proof.findings, str(proof)
    assert not proof.skipped


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (zoo.plain_mlp, "no model is compiled"),
        (compiled(dropout=0.5), "draws random numbers"),
    ],
)
def test_it_says_why_it_cannot_judge(build, why):
    assert why in torchproof.prove(build, rules=[RULE]).skipped[RULE]


def test_the_other_rules_see_the_model_as_it_is_written():
    """Dynamo would compile the experiments too, and give up after the eighth."""
    proof = torchproof.prove(compiled(shortcut=True))
    assert {finding.rule for finding in proof.findings if finding.severity == "error"} == {RULE}


class Loud(nn.Module):
    """Makes loud inputs quieter."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):  # here
        if bool(x.abs().max() > 3):
            x = x / 100
        return self.head(x)


def deployed(script, *, loud):
    def build():
        model = Loud()
        served = script(model)
        batch = zoo.classes(4)
        batch["x"] = batch["x"].clamp(-1, 1) * (50 if loud else 1)
        return zoo.classifier(model, batch, predict=lambda inputs: served(inputs["x"]).detach())

    return build


def traced(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(model, torch.zeros(2, 4))


def test_a_trace_that_keeps_the_branch_of_its_example(caught):
    finding, line = caught(RULE, deployed(traced, loud=True))
    assert line.endswith("# here")
    assert "Scripted, Loud predicts something else than its code" in finding.message


@pytest.mark.parametrize(
    "build",
    [
        deployed(torch.jit.script, loud=True),
        deployed(traced, loud=False),
        deployed(lambda model: traced(nn.Sequential(model, nn.Softmax(1))), loud=False),
    ],
    ids=["scripted", "the same branch", "of more than the model"],
)
def test_scripted_modules_that_predict_what_the_code_says_are_silent(build):
    assert not torchproof.prove(build, rules=[RULE]).findings
