"""What an architecture holds: plain frozen data, the same words as in a lock file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Optional


if TYPE_CHECKING:
    from collections.abc import Mapping

Operations = dict[str, list[str]]


class Entry(NamedTuple):
    """One tensor of a checkpoint; ``kind`` is ``parameter`` or ``buffer``."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: str


class Input(NamedTuple):
    """One tensor of the example: its form and where the probe's values come from.

    ``values`` is ``numbers``, ``positive``, ``ids below N`` or ``as given HASH``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    values: str


class Answer(NamedTuple):
    """What is remembered of an output.

    ``values`` are all its elements or 12 of them, ``sums`` weighted sums in which every element
    takes part; ``odd`` counts the elements that are NaN or infinite, which count as 0.
    """

    shape: tuple[int, ...]
    largest: float
    odd: int
    values: tuple[float, ...]
    sums: tuple[float, ...] = ()


class Constant(NamedTuple):
    """What is remembered of a constant: its shape, its norm, and a sum that sees every element."""

    shape: tuple[int, ...]
    norm: float
    sum: float


@dataclass(frozen=True)
class Case:
    """One call: how inputs and weights were scaled, its size, and the answer.

    ``answers`` maps the name of each output to what it is; None where the case decides nothing,
    for the reason in ``left_out``.
    """

    inputs: int
    weights: int
    size: str
    answers: Optional[Mapping[str, Answer]]
    left_out: str = ""

    def __str__(self) -> str:
        scaled = [("inputs", self.inputs), ("weights", self.weights)]
        factors = [f"{what} × {scale}" for what, scale in scaled if scale != 1] or ["scale 1"]
        return ", ".join([*factors, *([] if self.size == "as given" else [self.size])])


@dataclass(frozen=True)
class Probe:
    """What was asked and what the answers were.

    ``refused`` are the larger sizes that the model does not take; ``why_not`` says why there is no
    probe.
    """

    precision: str = ""
    tolerance: float = 0.0
    inputs: tuple[Input, ...] = ()
    refused: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    constants: Mapping[str, Constant] = field(default_factory=dict)
    why_not: str = ""
