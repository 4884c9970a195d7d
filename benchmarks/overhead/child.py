"""Child processes measured side by side, by the processor time that they and theirs took.

Processor time suffers less than wall time from what else the machine does, but it suffers: caches
and memory are shared. So variants take turns, which spreads slow and fast minutes over all of them,
and as a disturbance only ever adds time, the least turn of each is nearest to the truth.
"""

from __future__ import annotations

import os
import resource
import subprocess
from typing import TYPE_CHECKING, TypeVar

from benchmarks.overhead.figure import Figure


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

# One thread: the figures must not depend on how many cores happen to be idle.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def output_of(argv: Sequence[str], *, cwd: Path, exit_codes: Collection[int] = (0,)) -> str:
    """Run a program and return what it prints; RuntimeError unless it ends as it should."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode not in exit_codes:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return the processor seconds of the children that some work starts, and its result."""
    before = _children()
    result = work()
    return _children() - before, result


def take_turns(
    variants: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, tuple[float, ...]]:
    """Measure each variant once a round; an extra first round warms the disk cache and is lost."""
    turns = [{name: measure() for name, measure in variants.items()} for _ in range(rounds + 1)]
    return {name: tuple(turn[name] for turn in turns[1:]) for name in variants}


def percent_more(what: str, some: Sequence[float], others: Sequence[float]) -> Figure:
    """Say by how many percent the first took more: least turn by least turn, and each by each."""
    each = tuple(_percent(one, other) for one, other in zip(some, others, strict=True))
    best = _percent(min(some), min(others))
    return Figure(what=what, unit="%", values=each, best=best)


def _percent(one: float, other: float) -> float:
    return 100 * (one / other - 1)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
