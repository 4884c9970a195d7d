"""Text of which it is known how many bits each symbol holds."""

from __future__ import annotations

import math

import torch

from torchproof.synthetic import arguments
from torchproof.synthetic.dataset import Best, SyntheticDataset
from torchproof.synthetic.draws import Source, below, order


MAX_LENGTH = 65_536
MAX_SYMBOLS = 4096
MAX_BRANCHES = 24


def markov_text(
    size: int = 256, *, length: int = 64, symbols: int = 8, branches: int = 4, seed: int = 0
) -> SyntheticDataset:
    """Sequences in which each symbol has a few followers: one likely, the others less and less.

    The symbols stand on a hidden ring; the next one is 1, 2, 3, … places on with probability 1/2,
    1/4, 1/8, …, the last two of the ``branches`` with equal probability. So the entropy of a symbol
    given the one before is 2 - 2**(2 - branches) bits, and every symbol is equally frequent.

    Returns:
        x and y (size, length) int64, y the symbol after each of x; best 2 - 2**(2 - branches)
        bits per symbol (cross entropy divided by log 2). ``ideal`` holds the bits of each y.
    """
    source = Source("markov_text", 1, arguments.start(seed))
    shape = arguments.rows(size), arguments.whole("length", length, 1, MAX_LENGTH)
    symbols = arguments.whole("symbols", symbols, 2, MAX_SYMBOLS)
    branches = arguments.whole("branches", branches, 1, min(symbols, MAX_BRANCHES))
    begin = below(source, "begin", (shape[0], 1), symbols)
    branch = _branch(source, shape, branches)
    place = torch.cat([begin, begin + (1 + branch).cumsum(1)], dim=1) % symbols
    text = order(source, "ring", 1, symbols)[0][place]
    tensors = {"x": text[:, :-1].contiguous(), "y": text[:, 1:].contiguous()}
    bits = (branch + 1).clamp(max=branches - 1).to(torch.float32)
    entropy = 2 - 2.0 ** (2 - branches)
    best = Best("bits per symbol", entropy, math.log2(symbols), "lower")
    return SyntheticDataset(source, tensors, bits, best)


def _branch(source: Source, shape: tuple[int, int], branches: int) -> torch.Tensor:
    """Return 0 with probability 1/2, 1 with 1/4, …; the last two are equally likely."""
    whole = 2 ** (branches - 1)
    drawn = below(source, "branch", shape, whole)
    branch = torch.zeros_like(drawn)
    for split in range(1, branches):
        branch += drawn >= whole - whole // 2**split
    return branch
