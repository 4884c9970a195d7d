"""Where the step draws random numbers: the state of the generator before each draw.

Two draws from the same state are the same numbers.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple, Optional

import torch


DROPOUT = (
    *("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
    *("scaled_dot_product_attention", "multi_head_attention_forward", "lstm", "gru", "rnn_tanh"),
    *("rnn_relu", "dropout_"),
)
NOISE = (
    *("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal"),
    *("bernoulli", "multinomial", "poisson", "gumbel_softmax", "rrelu"),
    *("normal_", "uniform_", "bernoulli_", "exponential_", "random_"),
)
RANDOM = frozenset((*DROPOUT, *NOISE))


class Draw(NamedTuple):
    """One operation that drew from a generator, and a digest of that one's state before.

    ``trains``: gradients were enabled, so that what was drawn may take part in training; ``shape``
    is that of what was drawn, None if it is no tensor.
    """

    name: str
    call: int
    location: Optional[str]
    state: bytes
    trains: bool
    shape: Optional[tuple[int, ...]]


def generator_state(generator: Optional[torch.Generator] = None) -> bytes:
    """Return a digest of a generator's state, by default torch's on the CPU; empty: no bytes."""
    state = (generator or torch.default_generator).get_state()
    try:
        return hashlib.blake2b(state.numpy().tobytes(), digest_size=16).digest()
    except RuntimeError:  # inside a transform of torch.func every new tensor is a wrapper
        return b""
