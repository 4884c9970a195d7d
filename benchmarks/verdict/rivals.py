"""What other tools would have said about a history, by their published rules.

Each rule is asked after every value and may use what comes before it alone, except Perfherder's,
which waits for twelve later values. An alarm that stays on counts once.
"""

from __future__ import annotations

import json
import subprocess
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.verdict.series import Alarm
from scipy import stats  # type: ignore[import-untyped]


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.verdict.series import Series
    from numpy.typing import NDArray


_OTAVA = """
import json, sys
from otava.analysis import compute_change_points
def alarms(values):
    found, said = [], []
    for n in range(4, len(values) + 1):
        points = [int(point.index) for point in compute_change_points(values[:n])[0]]
        for before, at, after in zip([0, *points], points, [*points[1:], n]):
            if any(abs(at - other) <= 5 for other in said):
                continue
            said.append(at)
            left, right = values[before:at], values[at:after]
            if sum(right) / len(right) > sum(left) / len(left):
                found.append((n - 1, at))
    return found
json.dump([alarms(values) for values in json.load(sys.stdin)], sys.stdout)
"""


def ratio(threshold: float) -> Callable[[Sequence[float]], list[Alarm]]:
    """github-action-benchmark: the value over the one before it (src/write.ts, v1.22)."""

    def rule(values: Sequence[float]) -> list[Alarm]:
        pairs = enumerate(pairwise(values), start=1)
        return [Alarm(i, i) for i, (old, new) in pairs if new / old > threshold]

    return rule


def t_boundary(level: float) -> Callable[[Sequence[float]], list[Alarm]]:
    """Bencher: a prediction interval of all values before (bencher_boundary, v0.6)."""

    def rule(values: Sequence[float]) -> list[Alarm]:
        found, on = [], False
        for i in range(2, len(values)):
            past = np.asarray(values[:i])
            width = stats.t.ppf(level, i - 1) * past.std(ddof=1) * np.sqrt(1 + 1 / i)
            outside = values[i] > past.mean() + width
            if outside and not on:
                found.append(Alarm(i, i))
            on = bool(outside)
        return found

    return rule


def perfherder(values: Sequence[float]) -> list[Alarm]:
    """Mozilla Perfherder: weighted t over 7 between 12 values back and 12 forward, at least 2 %."""
    scores = [_weighted_t(values, i) for i in range(len(values))]
    found = []
    for i, score in enumerate(scores):
        peak = score == max(scores[max(0, i - 11) : i + 12])
        rise = np.mean(values[i : i + 12]) / np.mean(values[max(0, i - 12) : i] or [np.inf]) - 1
        if score > 7 and peak and rise >= 0.02:  # noqa: PLR2004 - the tool's own settings
            found.append(Alarm(i + 11, i))
    return found


def _weighted_t(values: Sequence[float], at: int) -> float:
    back, forward = values[max(0, at - 12) : at], values[at : at + 12]
    if len(back) < 12 or len(forward) < 12:  # noqa: PLR2004 - as above
        return 0.0
    weights = np.arange(12, 0, -1) / 12
    (mean_1, var_1), (mean_2, var_2) = _moments(back[::-1], weights), _moments(forward, weights)
    return float((mean_2 - mean_1) / np.sqrt(var_1 / 12 + var_2 / 12 + 1e-12))


def _moments(values: Sequence[float], weights: NDArray[np.float64]) -> tuple[float, float]:
    mean = float(np.average(values, weights=weights))
    spread = np.sum(weights * (np.asarray(values) - mean) ** 2)
    return mean, float(spread / weights.sum() * len(values) / (len(values) - 1))


def otava(python: str, suite: Sequence[Series]) -> list[list[Alarm]]:
    """Apache Otava itself, with its defaults, in the environment of another Python."""
    answer = subprocess.run(
        [python, "-c", _OTAVA],
        input=json.dumps([series.values for series in suite]),
        capture_output=True,
        text=True,
        check=True,
    )
    return [[Alarm(*alarm) for alarm in alarms] for alarms in json.loads(answer.stdout)]
