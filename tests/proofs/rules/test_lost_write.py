"""Bugs of the class `lost-write`; the marked line is the write that is lost."""

import pytest
import torch
import zoo
from torch import nn
from torch.nn.utils import prune, weight_norm
from torch.nn.utils.parametrizations import weight_norm as parametrized

import torchproof


RULE = "lost-write"
pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")


def program(first, *, dtype=torch.float32):
    def build():
        model = nn.Sequential(first(nn.Linear(4, 8)), nn.ReLU(), nn.Linear(8, 3)).to(dtype)
        batch = zoo.classes(4)
        return zoo.classifier(model, {"x": batch["x"].to(dtype), "y": batch["y"]})

    return build


def normal_data(layer):
    layer = weight_norm(layer)
    layer.weight.data.normal_(0, 0.01)  # here
    return layer


def initialised(layer):
    layer = weight_norm(layer, dim=None)
    nn.init.xavier_uniform_(layer.weight)  # here
    return layer


def part(layer):
    layer = weight_norm(layer)
    with torch.no_grad():
        layer.weight[0] = 0.0  # here
    return layer


def pruned(layer):
    prune.l1_unstructured(layer, "weight", 0.5)
    layer.weight.data.normal_(0, 0.01)  # here
    return layer


@pytest.mark.parametrize("first", [normal_data, initialised, part, pruned])
def test_a_write_to_a_weight_that_a_hook_computes(caught, first):
    finding, line = caught(RULE, program(first), severity="warning")
    assert line.endswith("# here")
    assert "0.weight is lost" in finding.message
    assert finding.evidence["weights"] == 1


def test_many_weights_written_on_one_line_are_one_finding(caught):
    def write(module):
        if isinstance(module, nn.Linear):
            module.weight.data.normal_(0, 0.01)  # here

    def build():
        model = nn.Sequential(*(weight_norm(nn.Linear(4, 4)) for _ in range(3)))
        return zoo.classifier(model.apply(write), zoo.classes(4))

    finding, line = caught(RULE, build, severity="warning")
    assert line.endswith("# here")
    assert finding.evidence["weights"] == 3


def before(layer):
    layer.weight.data.normal_(0, 0.01)
    return weight_norm(layer)


def sources(layer):
    layer = weight_norm(layer)
    layer.weight_v.data.normal_()
    nn.init.ones_(layer.weight_g)
    return layer


def loaded_afterwards(layer):
    layer = normal_data(layer)
    layer.load_state_dict(weight_norm(nn.Linear(4, 8)).state_dict())
    return layer


def kept_in_step(layer):
    """Whoever writes both means both."""
    layer = weight_norm(layer)
    fresh = torch.randn(8, 4)
    layer.weight_v.data.copy_(fresh)
    layer.weight_g.data.copy_(fresh.norm(dim=1, keepdim=True))
    layer.weight.data.copy_(fresh)
    return layer


def unwritten(layer):
    return layer


@pytest.mark.parametrize(
    "first",
    [
        *(before, sources, loaded_afterwards, kept_in_step, unwritten),
        *(weight_norm, parametrized, nn.utils.spectral_norm),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_writes_that_last_are_right(first, dtype):
    proof = torchproof.prove(program(first, dtype=dtype), rules=[RULE])
    assert not proof.findings, str(proof)
    assert not proof.skipped


def test_spectral_norm_keeps_what_is_written():
    """Its weight is the parameter's own memory until the first forward pass."""

    def written(layer):
        layer = nn.utils.spectral_norm(layer)
        layer.weight.data.normal_(0, 0.01)
        return layer

    assert not torchproof.prove(program(written), rules=[RULE]).findings
