"""Edits written before the contract was run on them, of families that it had not seen."""

from __future__ import annotations

from functools import partial

import torch
from benchmarks.architectures.edits import FUNCTION, SPELLING, TRAINING, edits
from benchmarks.architectures.held_out_zoo import Coder, Encoder, Gated, Graph, Series
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it


_SERIES = torch.zeros(2, 4, 10)
_STEPS = torch.zeros(2, 12, 5)
_TOKENS = {"x": torch.zeros(2, 12, 16), "hidden": torch.arange(24).reshape(2, 12) % 12 == 1}
_NODES = (torch.zeros(5, 6), torch.tensor([[0, 1, 2, 3, 3], [1, 2, 0, 4, 2]]))
_IMAGES = torch.zeros(2, 1, 8, 8)


def _stops_above(limit: float, h: torch.Tensor) -> torch.Tensor:
    return h.clamp(0, limit)


def _softmax_of_log(h: torch.Tensor) -> torch.Tensor:
    return torch.exp(F.logsigmoid(h))


HELD_OUT = [
    *edits(
        FUNCTION,
        Series,
        _SERIES,
        {
            "dilation": {"dilation": 1},
            "not causal": {"causal": False},
            "no residual": {"residual": False},
            "relu6": {"act": F.relu6},
            "softplus of 100": {"act": partial(F.softplus, beta=100)},
            "clamp at 20": {"act": partial(_stops_above, 20.0)},
        },
    ),
    *edits(
        FUNCTION,
        Gated,
        _STEPS,
        {
            "max pool": {"pool": "max"},
            "mean pool": {"pool": "mean"},
            "relu6 after a norm": {"act": F.relu6},
            "cuts long inputs": {"long": True},
            "starts at ones": {"start": 1.0},
        },
    ),
    *edits(
        FUNCTION,
        Encoder,
        _TOKENS,
        {
            "norm before": {"before": True},
            "gelu": {"act": "gelu"},
            "relu6 inside": {"act": F.relu6},
            "eps": {"eps": 1e-6},
            "base of positions": {"base": 1000.0},
            "heads": {"heads": 4},
        },
    ),
    *edits(
        FUNCTION,
        Graph,
        _NODES,
        {
            "sum": {"mean": False},
            "without itself": {"own": False},
            "edges turned": {"back": True},
            "leaky_relu 0.001": {"act": partial(F.leaky_relu, negative_slope=0.001)},
            "temperature": {"temperature": 1.01},
        },
    ),
    *edits(
        FUNCTION,
        Coder,
        _IMAGES,
        {
            "groups": {"groups": 3},
            "bilinear": {"mode": "bilinear"},
            "tanh at the end": {"last": torch.tanh},
            "other order": {"swapped": True},
            "no skip": {"skip": False},
            "hardswish": {"act": F.hardswish},
        },
    ),
    *edits(TRAINING, Series, _SERIES, {"functional dropout": {"drop": 0.5}}),
    *edits(TRAINING, Gated, _STEPS, {"dropout between layers": {"drop": 0.4}}),
    *edits(TRAINING, Encoder, _TOKENS, {"dropout": {"drop": 0.3}}),
    *edits(TRAINING, Coder, _IMAGES, {"dropout of channels": {"drop": 0.5}}),
    *edits(SPELLING, Series, _SERIES, {"einsum": {"pairs": True}, "a module": {"act": nn.ReLU()}}),
    *edits(SPELLING, Gated, _STEPS, {"in chunks": {"chunks": True}}),
    *edits(SPELLING, Encoder, _TOKENS, {"a function": {"act": torch.relu}}),
    *edits(SPELLING, Graph, _NODES, {"dense": {"dense": True}}),
    *edits(
        SPELLING,
        Coder,
        _IMAGES,
        {"norm by hand": {"by_hand": True}, "by logarithm": {"last": _softmax_of_log}},
    ),
]
