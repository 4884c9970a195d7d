"""Random integers that are the same on every machine: SHAKE128 (FIPS 202) as the generator.

A stream is ``SHAKE128("torchproof.synthetic/NAME/VERSION/SEED/STREAM")``; four of its bytes, the
lowest first, are one word. Numbers made from words are integers, or integers divided by a power of
two, which float32 holds exactly below 2**24: nothing is rounded, so nothing can differ.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import torch


CPU = torch.device("cpu")  # a user may have set another default device
WORD = 32
BELL_VARIANCE = 65_535
_BELL_SUMMANDS = 12
_BELL_VALUES = 256


class Source(NamedTuple):
    """Which generator, in which version, from which seed."""

    name: str
    version: int
    seed: int


def words(source: Source, stream: str, count: int) -> torch.Tensor:
    """Return the first words of a stream as int64 in [0, 2**32)."""
    label = f"torchproof.synthetic/{source.name}/{source.version}/{source.seed}/{stream}"
    data = hashlib.shake_128(label.encode()).digest(4 * count)
    octets = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(count, 4).to(torch.int64)
    return octets[:, 0] + (octets[:, 1] << 8) + (octets[:, 2] << 16) + (octets[:, 3] << 24)


def below(source: Source, stream: str, shape: tuple[int, ...], limit: int) -> torch.Tensor:
    """Return integers in [0, limit), each with a probability within 2**-32 of 1/limit."""
    drawn = words(source, stream, _count(shape)) * limit >> WORD
    return drawn.view(shape)


def happens(
    source: Source, stream: str, shape: tuple[int, ...], probability: float
) -> torch.Tensor:
    """Return booleans that are true with a probability rounded to a multiple of 2**-32."""
    limit = round(probability * 2**WORD)
    return words(source, stream, _count(shape)).lt(limit).view(shape)


def bell(source: Source, stream: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return integers that are nearly normal: mean 0, variance `BELL_VARIANCE`, |n| <= 1530.

    Each is the sum of twelve integers uniform in [0, 256), less its mean.
    """
    summands = below(source, stream, (*shape, _BELL_SUMMANDS), _BELL_VALUES)
    return summands.sum(-1) - _BELL_SUMMANDS * (_BELL_VALUES - 1) // 2


def order(source: Source, stream: str, rows: int, count: int) -> torch.Tensor:
    """Return a random permutation of [0, count) in each row (rows, count)."""
    keys = words(source, stream, rows * count).view(rows, count)
    return torch.sort(keys, dim=1, stable=True).indices


def scaled(integers: torch.Tensor, divisor: int) -> torch.Tensor:
    """Return integers divided by a power of two as float32, without rounding."""
    return integers.to(torch.float32) / divisor


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
