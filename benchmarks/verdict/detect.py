"""How `verdict.detect` and `verdict.confirm` do on simulated histories, beside other tools.

    python -m benchmarks.verdict.detect                       1,008 series with steps, 252 without
    python -m benchmarks.verdict.detect --quick               a twenty-eighth
    python -m benchmarks.verdict.detect --rivals VENV/bin/python   adds Apache Otava, on a fifth
    python -m benchmarks.verdict.detect --data DIRECTORY      adds labelled series (tcpd, nyrkio)
    python -m benchmarks.verdict.detect --calibrate           the change-point model's limits anew

Anchors are those of an earlier prototype of the same two stages on series of this kind. An alarm
more than 15 commits after its step counts as false here, and is shown as late as well.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.verdict import rivals
from benchmarks.verdict.labelled import labelled
from benchmarks.verdict.series import SIGMA, Alarm, Score, Series, draw, suite

from torchproof.verdict import confirm, detect
from torchproof.verdict.change_point import LIMITS


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REPETITIONS, QUICK = 28, 1
_ODD = ("autocorrelated", "drift")
_ALONE = {"f1": 0.76, "strict_f1": 0.66, "false": 0.13}
_CONFIRMED = {"f1": 0.84, "strict_f1": 0.75, "false": 0.05, "runs": 85.0}
_ANCHORS = {"history alone": "F1 .76 (.66), .13", "with fresh runs": "F1 .82, .05, 83 runs"}


@dataclass(frozen=True)
class Figure:
    """One rule on one kind of series."""

    rule: str
    series: str
    count: int
    score: Score
    target: dict[str, float] | None = None

    @property
    def values(self) -> dict[str, float]:
        """F1s, then false alarms and extra runs per 100 commits, and the mean delay."""
        score = self.score
        return {
            "f1": score.f1,
            "strict_f1": score.strict_f1,
            "false": score.per_hundred(score.false),
            "late": score.per_hundred(score.late),
            "delay": score.delay / max(1, score.found),
            "runs": score.per_hundred(score.runs),
        }

    @property
    def met(self) -> bool | None:
        """Whether the target is met, or None where there is none."""
        if self.target is None:
            return None
        at_least = ("f1", "strict_f1")
        return all(
            self.values[name] >= goal if name in at_least else self.values[name] <= goal
            for name, goal in self.target.items()
        )

    def row(self) -> str:
        """Return a line of the table."""
        v = self.values
        target = (
            "" if self.target is None else ", ".join(f"{k} {x}" for k, x in self.target.items())
        )
        met = {None: "", True: "yes", False: "no"}[self.met]
        numbers = f"{v['f1']:.3f} | {v['strict_f1']:.3f} | {v['false']:.3f} | {v['late']:.3f} | "
        numbers += f"{v['delay']:.1f} | {v['runs']:.0f}"
        anchor = _ANCHORS.get(self.rule, "") if self.target else ""
        cells = (self.rule, self.series, str(self.count), numbers, target, anchor, met)
        return f"| {' | '.join(cells)} |"

    def document(self) -> dict[str, object]:
        """Return the figure for JSON."""
        return {**asdict(self), **self.values, "met": self.met}


def main() -> int:
    """Simulate and print; 1 if a target is missed."""
    options = _options()
    if options.calibrate:
        print(calibration())
        return 0
    count = QUICK if options.quick else REPETITIONS
    figures = measure(count, options.seed, options.rivals)
    real = labelled(options.data)
    if options.json:
        figures_out = [figure.document() for figure in figures]
        print(json.dumps({"figures": figures_out, "labelled": real}, indent=1))
    else:
        print(f"{table(figures)}\n\n{real}")
    return int(any(figure.met is False for figure in figures))


def measure(repetitions: int, seed: int, python: str | None) -> list[Figure]:
    """Ask every rule about the same series; Otava where a Python has it."""
    stepped = suite(repetitions, seed)
    still = suite(repetitions, seed + 1, sizes=(0.0,))
    odd = suite(max(1, repetitions // 2), seed + 2, _ODD, (0.0, 1.0, 2.0))
    figures = [
        _figure("history alone", "steps", stepped, _alone, _ALONE),
        _figure("history alone", "no step", still, _alone),
        _figure("with fresh runs", "steps", stepped, _confirmed(seed), _CONFIRMED),
        _figure("with fresh runs", "no step", still, _confirmed(seed)),
    ]
    for rule, ask in (("history alone", _alone), ("with fresh runs", _confirmed(seed))):
        for noise in _ODD:
            with_steps = [each for each in odd if each.noise == noise and each.size]
            without = [each for each in odd if each.noise == noise and not each.size]
            figures.append(_figure(rule, f"{noise}, steps of 1 and 2 sigma", with_steps, ask))
            figures.append(_figure(rule, f"{noise}, no step", without, ask))
    for rule, theirs in RIVALS.items():
        figures.append(_figure(rule, "steps", stepped, _without_runs(theirs)))
        figures.append(_figure(rule, "no step", still, _without_runs(theirs)))
    return figures + (_with_otava(python, stepped, still) if python else [])


RIVALS = {
    "github-action-benchmark 200 %": rivals.ratio(2.0),
    "github-action-benchmark 105 %": rivals.ratio(1.05),
    "Bencher t .95": rivals.t_boundary(0.95),
    "Bencher t .99": rivals.t_boundary(0.99),
    "Perfherder t > 7": rivals.perfherder,
    "Perfherder 3 of 5": rivals.perfherder_vote,
}


def _figure(
    rule: str,
    name: str,
    series: Sequence[Series],
    ask: Callable[[Series], tuple[list[Alarm], int]],
    target: dict[str, float] | None = None,
) -> Figure:
    score = Score()
    for each in series:
        alarms, runs = ask(each)
        score.add(each, alarms, runs)
    return Figure(rule, name, len(series), score, target)


def _alone(series: Series) -> tuple[list[Alarm], int]:
    points = detect(series.values, better="lower")
    return [Alarm(point.seen, point.index) for point in points], 0


def _confirmed(seed: int) -> Callable[[Series], tuple[list[Alarm], int]]:
    """Train the asked-for commit again: its level and fresh noise of the same kind."""
    source = np.random.default_rng(seed + 3)

    def ask(series: Series) -> tuple[list[Alarm], int]:
        def run(index: int) -> float:
            return series.levels[index] + SIGMA * float(draw(source, series.noise, 1)[0])

        points, trials = confirm(series.values, run, better="lower")
        return [Alarm(each.seen, each.index) for each in points], sum(t.runs for t in trials)

    return ask


def _without_runs(
    rule: Callable[[Sequence[float]], list[Alarm]],
) -> Callable[[Series], tuple[list[Alarm], int]]:
    return lambda series: (rule(series.values), 0)


def _with_otava(python: str, stepped: list[Series], still: list[Series]) -> list[Figure]:
    figures = []
    for name, series in (("steps", stepped[::5]), ("no step", still[::5])):
        score = Score()
        for each, alarms in zip(series, rivals.otava(python, series), strict=True):
            score.add(each, alarms)
        figures.append(Figure("Apache Otava 0.8", name, len(series), score))
    return figures


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table; false, late and runs are per 100 commits."""
    head = "| rule | series | count | F1 | strict F1 | false | late | delay | extra runs "
    head += "| target | anchor | met |\n" + "|---" * 12 + "|\n"
    return head + "\n".join(figure.row() for figure in figures)


def calibration(series: int = 2000, seed: int = 0) -> str:
    """Return the rate of false alarms that each of `LIMITS` has in normal series of 300 runs."""
    source = np.random.default_rng(seed)
    values = [source.standard_normal(300).tolist() for _ in range(series)]
    lines = ["| alpha | limit | alarms per value |", "|---|---|---|"]
    for alpha, height in LIMITS.items():
        alarms = sum(len(detect(each, better="lower", alpha=alpha)) for each in values)
        lines.append(f"| {alpha} | {height} | {alarms / (300 * series):.5f} |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rivals", help="a Python that has apache-otava 0.8")
    parser.add_argument("--data", type=Path, help="a directory with tcpd/ and nyrkio/")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
