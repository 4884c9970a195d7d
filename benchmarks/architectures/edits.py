"""What the contract was designed on: 27 edits of the function, 4 of training, 9 of spelling."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from benchmarks.architectures.zoo import Decoder, Functions, Perceptron, Pictures, Sentences
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it


if TYPE_CHECKING:
    from collections.abc import Callable

FUNCTION, TRAINING, SPELLING = "function", "training", "spelling"


class Edit(NamedTuple):
    """A family before and after an edit of a known kind."""

    kind: str
    name: str
    before: Callable[[], nn.Module]
    after: Callable[[], nn.Module]
    example: Any


ROWS = torch.zeros(2, 16)
IMAGES = torch.zeros(2, 3, 12, 12)
IDS = torch.arange(24).reshape(2, 12) % 40


def edits(
    kind: str, family: Callable[..., nn.Module], example: Any, changes: dict[str, dict[str, Any]]
) -> list[Edit]:
    """Return one edit of a kind for each change of a family's keywords."""
    return [
        Edit(kind, f"{family.__name__} {name}", family, partial(family, **change), example)
        for name, change in changes.items()
    ]


def _clamped(h: torch.Tensor) -> torch.Tensor:
    return h.clamp(min=0)


def _maximum(h: torch.Tensor) -> torch.Tensor:
    return torch.maximum(h, torch.zeros_like(h))


def _gated(h: torch.Tensor) -> torch.Tensor:
    return h * (h > 0)


EDITS = [
    *edits(
        FUNCTION,
        Perceptron,
        ROWS,
        {
            "LeakyReLU": {"act": nn.LeakyReLU},
            "GELU": {"act": nn.GELU},
            "tanh GELU": {"act": partial(nn.GELU, approximate="tanh")},
            "SiLU": {"act": nn.SiLU},
            "hidden size": {"hidden": 32},
            "no bias": {"bias": False},
        },
    ),
    *edits(
        FUNCTION,
        Functions,
        ROWS,
        {
            "leaky_relu": {"act": F.leaky_relu},
            "elu at the end": {"last": F.elu},
            "tanh": {"act": torch.tanh},
        },
    ),
    *edits(
        FUNCTION,
        Pictures,
        IMAGES,
        {
            "LeakyReLU": {"act": nn.LeakyReLU},
            "batch norm's eps": {"eps": 1e-3},
            "padding": {"padding": 0},
            "stride": {"stride": 2},
            "average pool": {"pool": nn.AvgPool2d},
            "groups": {"groups": 4},
        },
    ),
    *edits(
        FUNCTION,
        Sentences,
        IDS,
        {"mean pool": {"mean": True}, "layers": {"layers": 2}, "both ways": {"both_ways": True}},
    ),
    *edits(
        FUNCTION,
        Decoder,
        IDS,
        {
            "layer norm's eps": {"eps": 1e-6},
            "embedding scale": {"gain": 4.0},
            "no mask": {"causal": False},
            "norm after": {"post_norm": True},
            "heads": {"heads": 2},
            "attention scale": {"scale": 4.0},
            "depth": {"depth": 3},
            "head not tied": {"tied": False},
            "tanh GELU": {"act": partial(F.gelu, approximate="tanh")},
        },
    ),
    *edits(
        TRAINING,
        Perceptron,
        ROWS,
        {
            "dropout": {"drop": 0.5},
            "in place": {"act": partial(nn.ReLU, inplace=True)},
            "unused layer": {"unused": True},
        },
    ),
    *edits(TRAINING, Pictures, IMAGES, {"batch norm's momentum": {"momentum": 0.01}}),
    *edits(
        SPELLING,
        Functions,
        ROWS,
        {
            "torch.relu": {"act": torch.relu},
            "in place": {"act": partial(F.relu, inplace=True)},
            "clamp": {"act": _clamped},
            "maximum": {"act": _maximum},
            "h * (h > 0)": {"act": _gated},
            "matmul": {"matmul": True},
        },
    ),
    *edits(
        SPELLING,
        Perceptron,
        ROWS,
        {"order of layers": {"swapped": True}, "a subclass": {"act": type("Mine", (nn.ReLU,), {})}},
    ),
    *edits(SPELLING, Decoder, IDS, {"fused attention": {"fused": True}}),
]
