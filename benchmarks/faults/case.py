"""A case: one silent bug and its right twin, which differ in the marked lines only.

Programs are written from the description of a class of bugs, before any tool saw them. A line that
is wrong ends with ``# wrong``, its replacement with ``# right``; a line that only the right program
has, or only the wrong one, ends with the same words.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmarks.faults import programs


if TYPE_CHECKING:
    from collections.abc import Callable

    from torchproof import Trainee


class Program(Protocol):
    """Builds a fresh trainee, right or wrong."""

    __name__: str
    __module__: str

    def __call__(self, *, right: bool) -> Trainee:
        """Build it."""


@dataclass(frozen=True)
class Case:
    """One bug.

    ``number`` is that of its class in ``classes.CLASSES``; ``rules`` are the rules of torchproof
    any of which names that class, none where a baseline is needed to see it.
    """

    name: str
    theme: str
    number: int
    family: str
    rules: tuple[str, ...]
    quick: bool
    build: Program


_CASES: dict[str, Case] = {}


def case(
    number: int, family: str, *rules: str, quick: bool = False
) -> Callable[[Program], Program]:
    """Register the decorated program under its own name."""

    def register(build: Program) -> Program:
        theme = build.__module__.rpartition(".")[2]
        _CASES[build.__name__] = Case(
            build.__name__, theme, number, family, rules, quick=quick, build=build
        )
        return build

    return register


def cases() -> dict[str, Case]:
    """Import all programs and return the cases by name, in the order of their classes."""
    for module in pkgutil.iter_modules(programs.__path__):
        importlib.import_module(f"{programs.__name__}.{module.name}")
    return dict(sorted(_CASES.items(), key=lambda item: (item[1].number, item[0])))
