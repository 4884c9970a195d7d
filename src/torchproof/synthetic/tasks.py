"""Sequences: copy, reverse, adding and parity, the tasks that show whether a model remembers.

After Hochreiter & Schmidhuber, Long Short-Term Memory (1997) and Graves et al., Neural Turing
Machines (2014).
"""

from __future__ import annotations

import torch

from torchproof.synthetic import arguments
from torchproof.synthetic.dataset import Best, SyntheticDataset
from torchproof.synthetic.draws import Source, below, happens, scaled


MAX_LENGTH = 4096
MAX_SYMBOLS = 65_536
_IGNORED = -100  # the label that torch's cross entropy leaves out
_VALUES = 256


def copy(size: int = 1024, *, length: int = 8, symbols: int = 8, seed: int = 0) -> SyntheticDataset:
    """Say again what was said: ``3 1 2 _ _ _`` becomes ``. . . 3 1 2``.

    The token ``symbols`` asks for the answer; where ``y`` is -100 nothing is asked.

    Returns:
        x and y (size, 2·length) int64; best accuracy 1 on the positions that are asked.
    """
    return _recall(Source("copy", 1, arguments.start(seed)), size, length, symbols)


def reverse(
    size: int = 1024, *, length: int = 8, symbols: int = 8, seed: int = 0
) -> SyntheticDataset:
    """Say it backwards: ``3 1 2 _ _ _`` becomes ``. . . 2 1 3``; else as `copy`."""
    return _recall(Source("reverse", 1, arguments.start(seed)), size, length, symbols)


def adding(size: int = 1024, *, length: int = 16, seed: int = 0) -> SyntheticDataset:
    """Add the two numbers that are marked, one in each half of the sequence.

    Numbers are uniform on the multiples of 1/256 in [0, 1).

    Returns:
        x (size, length, 2) float32 with number and mark, y (size,) float32; best mse 0.
    """
    source = Source("adding", 1, arguments.start(seed))
    size, length = arguments.rows(size), arguments.whole("length", length, 2, MAX_LENGTH)
    number = below(source, "number", (size, length), _VALUES)
    half = length // 2
    first = below(source, "first", (size, 1), half)
    second = half + below(source, "second", (size, 1), length - half)
    mark = torch.zeros_like(number).scatter(1, torch.cat([first, second], 1), 1)
    y = scaled((number * mark).sum(1), _VALUES)
    x = torch.stack([scaled(number, _VALUES), scaled(mark, 1)], dim=-1)
    chance = 2 * (_VALUES**2 - 1) / (12 * _VALUES**2)
    return SyntheticDataset(source, {"x": x, "y": y}, y, Best("mse", 0.0, chance, "lower"))


def parity(
    size: int = 1024, *, length: int = 8, noise: float = 0.0, seed: int = 0
) -> SyntheticDataset:
    """Tell whether the number of ones is odd; with probability ``noise`` the label is wrong.

    Returns:
        x (size, length) int64 of 0 and 1, y (size,) int64; best accuracy 1 - noise.
    """
    source = Source("parity", 1, arguments.start(seed))
    size, length = arguments.rows(size), arguments.whole("length", length, 1, MAX_LENGTH)
    noise = arguments.number("noise", noise, 0, 0.5)
    x = below(source, "bit", (size, length), 2)
    odd = x.sum(1) % 2
    y = odd ^ happens(source, "wrong", (size,), noise).to(torch.int64)
    return SyntheticDataset(
        source, {"x": x, "y": y}, odd, Best("accuracy", 1 - noise, 0.5, "higher")
    )


def _recall(source: Source, size: int, length: int, symbols: int) -> SyntheticDataset:
    shape = arguments.rows(size), arguments.whole("length", length, 1, MAX_LENGTH)
    symbols = arguments.whole("symbols", symbols, 2, MAX_SYMBOLS)
    said = below(source, "symbol", shape, symbols)
    answer = said.flip(1) if source.name == "reverse" else said
    x = torch.cat([said, torch.full_like(said, symbols)], dim=1)
    y = torch.cat([torch.full_like(said, _IGNORED), answer], dim=1)
    best = Best("accuracy", 1.0, 1 / symbols, "higher")
    return SyntheticDataset(source, {"x": x, "y": y}, y, best)
