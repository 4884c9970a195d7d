"""Training against a service in a fresh process: each kind of skew is called by its name."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import torchproof
from torchproof.behaviour import serving
from torchproof.behaviour.pair import handover
from torchproof.behaviour.skew import diagnose, distance
from torchproof.errors import UsageError


SERVICE = """
    import torch

    def build():
        return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))

    def load(path):
        model = build()
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()

    def broken(path):
        raise KeyError("no such weight")
"""
INPUTS = torch.linspace(-2, 2, 32).reshape(8, 4) ** 3 + torch.eye(8)[:, :4]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    path = tmp_path_factory.mktemp("service")
    (path / "inference.py").write_text(dedent(SERVICE))
    return path


def model(*further):
    with torchproof.fix_seed(0):
        first, last = torch.nn.Linear(4, 6), torch.nn.Linear(6, 3)
    return torch.nn.Sequential(first, *further, torch.nn.ReLU(), last)


def right():
    return model()


def test_a_service_that_does_as_training_does_agrees(service):
    found = handover(right(), "inference:load", INPUTS, root=service)
    assert found.skew is None
    assert found.apart == 0.0


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        ("inference:broken", "KeyError: 'no such weight'"),
        ("nowhere:load", "No module named 'nowhere'"),
    ],
)
def test_a_service_that_does_not_load_says_why(service, serve, said):
    skew = handover(right(), serve, INPUTS, root=service).skew
    assert skew.cause == "loading"
    assert said in skew.message


def test_what_cannot_be_carried_over_is_refused(service):
    with pytest.raises(UsageError, match="more than tensors"):
        handover(right(), "inference:load", [right()], root=service, predict=lambda _: 0)
    with pytest.raises(UsageError, match="serve is 'inference'"):
        handover(right(), "inference", INPUTS, root=service)


def skew(serve, train=None, within=1e-5):
    """Compare two ways to answer inside this process, which is quicker and the same comparison."""
    module = right().eval()
    ours = serving.observe(train or module, INPUTS)
    theirs = serving.observe(serve(right().eval()), INPUTS)
    apart = distance(ours["answers"], theirs["answers"])
    assert apart is None or apart > within
    return diagnose(ours, theirs, within)


def swapped(module):
    return lambda inputs: module(inputs)[:, [1, 0, 2]]


def trained_further(module):
    with torch.no_grad():
        module[2].bias += 1
    return module


def leaky(module):
    parts = module[0], torch.nn.LeakyReLU(0.3), module[2]
    made = torch.nn.Sequential(*parts)
    made.load_state_dict(module.state_dict())
    return made.eval()


def dropping(module):
    made = torch.nn.Sequential(module[0], module[1], module[2], torch.nn.Dropout(0.5))
    return made.train()


@pytest.mark.parametrize(
    ("serve", "cause", "said"),
    [
        (lambda m: lambda x: m(x / 255), "preprocessing", "255 times as small"),
        (lambda m: lambda x: m(x.flip(1)), "preprocessing", "reversed in dimension 1"),
        (lambda m: lambda x: m(x + 0.5), "preprocessing", "shifted by 0.5"),
        (lambda m: lambda x: m(x.tanh()), "preprocessing", "mean"),
        (lambda m: lambda x: m(x[:4]), "preprocessing", "shape [8, 4] in training, [4, 4]"),
        (lambda m: lambda x: m.double()(x.double()) * 2, "postprocessing", "the network agrees"),
        (lambda m: lambda x: m.bfloat16()(x.bfloat16()), "dtype", "torch.bfloat16 in service"),
        (trained_further, "weights", "2.bias differ"),
        (leaky, "architecture", "built otherwise"),
        (dropping, "training mode", "answers in training mode"),
        (swapped, "label order", "column i of training is column [1, 0, 2] of the service"),
    ],
)
def test_a_skew_is_called_by_its_name(serve, cause, said):
    found = skew(serve)
    assert (found.cause, said in found.message) == (cause, True), found


def test_answers_that_are_not_finite_are_nobodys_skew():
    def broken(inputs):
        return inputs * float("nan")

    observed = serving.observe(broken, INPUTS)
    assert diagnose(observed, observed, 1e-5).cause == "not finite"


def test_labels_in_another_order_are_named():
    def named(names):
        return lambda module: lambda inputs: [names[at] for at in module(inputs).argmax(1).tolist()]

    ours = named(["cat", "dog", "eel"])(right().eval())
    found = skew(named(["dog", "cat", "eel"]), ours)
    assert found.cause == "label order"
    assert "cat is answered as dog" in found.message or "dog is answered as cat" in found.message


def test_of_many_labels_the_first_that_differs_is_shown():
    def named(pick):
        return lambda module: lambda inputs: [f"class {at}" for at in pick(module(inputs))]

    ours = named(lambda scores: scores.argmax(1).tolist())(right().eval())
    found = skew(named(lambda scores: [*scores[:3].argmax(1).tolist(), *[3] * 5]), ours)
    assert found.cause == "postprocessing"
    assert re.search("answer 4 is 'class [012]' in training, 'class 3' in", found.message)


def test_another_version_is_named_when_nothing_before_it_differs():
    ours = serving.observe(right().eval(), INPUTS)
    theirs = {**serving.observe(leaky(right().eval()), INPUTS), "weights": ours["weights"]}
    theirs["versions"] = {**ours["versions"], "torch": "1.0"}
    found = diagnose(ours, theirs, 1e-5)
    assert found.cause == "version"
    assert found.message.endswith("→ 1.0")
    assert diagnose(ours, {**theirs, "device": "cuda"}, 1e-5).cause == "device"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(1e-3, 1))
def test_distance_is_zero_for_itself_and_grows_with_the_change(values, change):
    one = torch.tensor(values, dtype=torch.float64)
    assert distance(one, one) == 0
    assert distance(one, one + change) > 0
    assert distance(one, one[:-1]) is None
    assert distance(one, one * float("nan")) == float("inf")


def test_training_is_left_in_its_mode(service):
    module = model(torch.nn.Dropout(0.5))
    module[0].eval()
    handover(module, "nowhere:load", INPUTS, root=service)
    assert [part.training for part in (module, module[0], module[1])] == [True, False, True]
