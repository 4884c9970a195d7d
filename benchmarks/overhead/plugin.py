"""What the pytest plugin costs: at the start of a session, for each test, and on a whole suite.

On a busy machine two runs of one suite differ by more than the plugin costs, so the suite is also
run twice without it, to show by how much, and its share is computed as well: the start and the
tests, as measured on tests that do nothing, against the suite's least time.
"""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.overhead.child import output_of, percent_more, take_turns, timed
from benchmarks.overhead.figure import Figure


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_PERCENT = 3.0
MOST_AT_START = 0.1

# The other plugins of a development environment would add noise to both sides alike.
_OTHERS = ("randomly", "xdist", "rerunfailures", "cacheprovider")
_PYTEST = (sys.executable, "-m", "pytest", "-q", *(f"-pno:{name}" for name in _OTHERS))
_WITHOUT = ("-p", "no:torchproof")
_FAILED, _NO_TESTS = 1, 5  # pytest's exit codes
_TRIES = 3
_ENOUGH = 5  # rounds before a comparison of whole suites is judged

_SUITE = """\
import pytest
import torch


@pytest.mark.parametrize("width", range(8, 22))
@pytest.mark.parametrize("depth", range(1, 12))
def test_a_training_step_lowers_the_loss(width, depth):
    layers = [torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.Tanh())] * depth
    model = torch.nn.Sequential(*layers, torch.nn.Linear(width, 1))
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    x, y = torch.randn(32, width), torch.randn(32, 1)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
"""

_LAST = 1000
_EMPTY = f"""\
import time

import pytest
import torch


@pytest.mark.parametrize("number", range({_LAST} + 1))
def test_nothing(number):
    if number in (0, {_LAST}):
        print(f"moment={{time.process_time()}}")
"""


def figures(suite: Path | None, rounds: int) -> list[Figure]:
    """Measure the plugin.

    Args:
        suite: A checkout whose tests pass in this environment; its directory ``tests`` counts, if
            there is one. None takes 154 small tests that train with torch.
        rounds: How often each variant runs.
    """
    start, test = at_start(rounds), on_a_test(rounds)
    with tempfile.TemporaryDirectory() as folder:
        suite = suite or _write(Path(folder, "a generated suite"), _SUITE)
        tests = sum(_outcomes(suite, _WITHOUT))
        taken = take_turns(_variants(suite, tests, Path(folder, "events.jsonl")), rounds)
    least = min(taken["without"])
    share = 100 * ((start.value or 0) + tests * (test.value or 0) / 1000) / least
    where = f"on {suite.name}, {tests} tests, {least:.1f} s (CPU time)"
    computed = f"plugin with tier and events, computed from start and tests, {where}"
    return [
        start,
        test,
        Figure(what=computed, unit="%", values=(share,), most=MOST_PERCENT),
        *_compared(taken, where),
    ]


def _compared(taken: Mapping[str, Sequence[float]], where: str) -> list[Figure]:
    """Compare each variant with the suite alone; a target counts where the noise is below it."""
    figures = [
        percent_more(f"{variant}, {where}", seconds, taken["without"])
        for variant, seconds in taken.items()
        if variant != "without"
    ]
    noise, *others = figures
    if len(noise.values) < _ENOUGH or abs(noise.value or 0) >= MOST_PERCENT:
        return figures
    return [noise, *(replace(figure, most=MOST_PERCENT) for figure in others)]


def on_a_test(rounds: int) -> Figure:
    """Measure what the plugin adds to a test, by many that do nothing."""
    with tempfile.TemporaryDirectory() as folder:
        suite = _write(Path(folder, "empty"), _EMPTY)
        tier = _tier(Path(folder, "events.jsonl"))
        variants = {
            "without": partial(_milliseconds_a_test, suite, _WITHOUT),
            "with": partial(_milliseconds_a_test, suite, tier),
        }
        taken = take_turns(variants, rounds)
    more = tuple(b - a for a, b in zip(taken["without"], taken["with"], strict=True))
    best = min(taken["with"]) - min(taken["without"])
    what = "plugin with tier and events, for each test (CPU time)"
    return Figure(what=what, unit="ms", values=more, best=best)


def at_start(rounds: int) -> Figure:
    """Measure pytest on an empty directory, with and without the plugin."""
    with tempfile.TemporaryDirectory() as folder:
        run = partial(output_of, cwd=Path(folder), exit_codes=(_NO_TESTS,))
        start = (*_PYTEST, "--collect-only")
        variants = {
            "without": lambda: timed(partial(run, (*start, *_WITHOUT)))[0],
            "with": lambda: timed(partial(run, start))[0],
        }
        taken = take_turns(variants, rounds)
    more = tuple(b - a for a, b in zip(taken["without"], taken["with"], strict=True))
    what = "plugin, at the start of pytest (CPU time)"
    return Figure(what=what, unit="s", values=more, most=MOST_AT_START)


def _write(suite: Path, source: str) -> Path:
    suite.mkdir()
    (suite / "test_all.py").write_text(source, "utf-8")
    return suite


def _variants(suite: Path, tests: int, events: Path) -> Mapping[str, partial[float]]:
    turn = partial(_turn, suite, tests)
    return {
        "without": partial(turn, _WITHOUT),
        "no plugin on either side": partial(turn, _WITHOUT),
        "plugin": partial(turn, ()),
        "plugin with tier and events": partial(turn, _tier(events)),
    }


def _turn(suite: Path, tests: int, options: Sequence[str]) -> float:
    """Take the time of a run in which all tests pass; one that is not seeded may fail by chance."""
    for _ in range(_TRIES):
        seconds, outcomes = timed(partial(_outcomes, suite, options))
        if outcomes == (tests, 0):
            return seconds
    raise RuntimeError(f"never have all {tests} tests passed with {' '.join(options)}")


def _tier(events: Path) -> Sequence[str]:
    return ("--torchproof-tier=unit", f"--torchproof-events={events}")


def _milliseconds_a_test(suite: Path, options: Sequence[str]) -> float:
    output = output_of((*_PYTEST, "-s", *options), cwd=suite)
    first, last = map(float, re.findall(r"moment=([\d.]+)", output))
    return 1000 * (last - first) / _LAST


def _outcomes(suite: Path, options: Sequence[str]) -> tuple[int, int]:
    """Run the suite and count the tests that pass and those that fail."""
    places = ("tests",) if (suite / "tests").is_dir() else ()
    output = output_of((*_PYTEST, *options, *places), cwd=suite, exit_codes=(0, _FAILED))
    found = {word: int(number) for number, word in re.findall(r"\b(\d+) (passed|failed)", output)}
    return found.get("passed", 0), found.get("failed", 0)
