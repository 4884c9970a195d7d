"""What `repeated-module` warns of."""

import pytest
import zoo
from torch import nn

import torchproof


RULE = "repeated-module"


def repeated(container):
    def build():
        return zoo.classifier(
            nn.Sequential(container(nn.Linear(4, 4)), nn.Linear(4, 3)), zoo.classes(4)
        )

    return build


class Stack(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, x):
        for layer in (
            self.layers.values() if isinstance(self.layers, nn.ModuleDict) else self.layers
        ):
            x = layer(x)
        return x


@pytest.mark.parametrize(
    "container",
    [
        lambda block: nn.Sequential(*[block] * 3),
        lambda block: Stack(nn.ModuleList([block] * 3)),
        lambda block: Stack(nn.ModuleDict(dict.fromkeys("abc", block))),
    ],
    ids=["Sequential", "ModuleList", "ModuleDict"],
)
def test_one_block_several_times_is_a_warning(container):
    (finding,) = torchproof.prove(repeated(container), rules=[RULE]).findings
    assert finding.severity == "warning"
    assert finding.evidence == {"entries": 3, "different modules": 1}


def test_one_activation_several_times_is_nothing():
    def build():
        relu = nn.ReLU()
        model = nn.Sequential(nn.Linear(4, 8), relu, nn.Linear(8, 8), relu, nn.Linear(8, 3))
        return zoo.classifier(model, zoo.classes(4))

    assert not torchproof.prove(build, rules=[RULE]).findings
