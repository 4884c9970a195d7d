"""What other tools would have said about a history, by their published rules.

Each rule is asked after every value and may use what comes before it alone, except Perfherder's,
which waits for twelve later values. An alarm that stays on counts once.
"""

from __future__ import annotations

import json
import subprocess
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.verdict.series import Alarm
from scipy import special, stats  # type: ignore[import-untyped]


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

_BAYESECT = """
import json, random, sys
from git_bayesect import Bisector
count, step, searches, seed = json.load(sys.stdin)
def search(source):
    first, runs, bisector = source.randrange(1, count), 0, Bisector([1.0] * count)
    while bisector.distribution.max() < 0.95 and runs < 300:
        index, runs = int(bisector.select()), runs + 1
        worse = count - 1 - index >= first
        bisector.record(index, source.gauss(step * worse, 1) > step / 2)
    return count - 1 - int(bisector.distribution.argmax()) == first, runs
json.dump([search(random.Random(seed + each)) for each in range(searches)], sys.stdout)
"""

# Perfherder: runs before and after, its limits of t, and p of the four other tests of its vote.
_BACK, _LONGEST_BACK, _FORE = 12, 24, 12
_T, _VOTE_T, _VOTE_P = 7.0, 5.0, 0.005
_VOTES, _NEAR = 3, 1


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
        peak = score == max(scores[max(0, i - _FORE + 1) : i + _FORE])
        rise = np.mean(values[i : i + _FORE]) / np.mean(values[max(0, i - _BACK) : i] or [np.inf])
        if score > _T and peak and rise >= 1.02:  # noqa: PLR2004 - the tool's own setting
            found.append(Alarm(i + _FORE - 1, i))
    return found


def _weighted_t(values: Sequence[float], at: int) -> float:
    back, forward = values[max(0, at - _BACK) : at], values[at : at + _FORE]
    if len(back) < _BACK or len(forward) < _FORE:
        return 0.0
    weights = np.arange(12, 0, -1) / 12
    (mean_1, var_1), (mean_2, var_2) = _moments(back[::-1], weights), _moments(forward, weights)
    return float((mean_2 - mean_1) / np.sqrt(var_1 / 12 + var_2 / 12 + 1e-12))


def _moments(values: Sequence[float], weights: NDArray[np.float64]) -> tuple[float, float]:
    mean = float(np.average(values, weights=weights))
    spread = np.sum(weights * (np.asarray(values) - mean) ** 2)
    return mean, float(spread / weights.sum() * len(values) / (len(values) - 1))


def perfherder_vote(values: Sequence[float]) -> list[Alarm]:
    """Mozilla Perfherder's later rule: three of five tests agree within one value.

    The tests are weighted t over 5 and, at p < .005, Welch, Mann-Whitney, Kolmogorov-Smirnov and
    Cramér-von Mises, between up to 24 values back and 12 forward, each where it is strongest. The
    floor of 3 % is left out: it would hide whatever is smaller than 1.5 sigma here.
    """
    scores = np.zeros((5, len(values) + 2))
    for i in range(_BACK, len(values) - _FORE + 1):
        scores[:, i + 1] = _vote(values[max(0, i - _LONGEST_BACK) : i], values[i : i + _FORE])
    peak = (scores[:, 1:-1] >= scores[:, :-2]) & (scores[:, 1:-1] >= scores[:, 2:])
    marks = peak & (scores[:, 1:-1] > 1)
    votes = [marks[:, max(0, i - _NEAR) : i + _NEAR + 1].any(1).sum() for i in range(len(values))]
    found: list[Alarm] = []
    for i, count in enumerate(votes):
        told = found and i - found[-1].blamed <= 2 * _NEAR
        best = count == max(votes[max(0, i - _NEAR) : i + _NEAR + 1])
        worse = np.mean(values[i : i + _FORE]) > np.mean(values[max(0, i - _BACK) : i] or [np.inf])
        if count >= _VOTES and best and worse and not told:
            # A vote of a neighbour counts, too, so that the last values may have fewer after them.
            found.append(Alarm(min(i + _FORE, len(values)) - 1, i))
    return found


def _vote(back: Sequence[float], fore: Sequence[float]) -> tuple[float, ...]:
    """Return the five statistics over what each of them takes to be a mark."""
    n, m = len(back), len(fore)
    t = _weighted_t([*back[-_BACK:], *fore], _BACK) / _VOTE_T
    before, after = np.var(back, ddof=1) / n, np.var(fore, ddof=1) / m
    freedom = (before + after) ** 2 / (before**2 / (n - 1) + after**2 / (m - 1))
    welch = abs(np.mean(fore) - np.mean(back)) / np.sqrt(before + after)
    inside = np.argsort(np.argsort([*back, *fore]))[n:] + 1
    by_rank = (each / most for each, most in zip(_by_rank(inside, n, m), _most(n, m), strict=True))
    return (t, float(welch / special.stdtrit(freedom, 1 - _VOTE_P / 2)), *by_rank)


def _by_rank(ranks: NDArray[np.int64], n: int, m: int) -> tuple[float, float, float]:
    """Return Mann-Whitney's, Kolmogorov-Smirnov's and Cramér-von Mises' statistics of ranks."""
    late = np.zeros(n + m)
    late[ranks - 1] = 1
    apart = np.cumsum(late) / m - np.cumsum(1 - late) / n
    middle = abs(float(np.sum(ranks)) - m * (n + m + 1) / 2)
    return middle, float(np.max(np.abs(apart))), float(np.sum(apart**2))


@lru_cache
def _most(n: int, m: int) -> tuple[float, ...]:
    """Return what these exceed by chance with the vote's p, from 4,000 random orders."""
    source = np.random.default_rng(n)
    found = [_by_rank(source.permutation(n + m)[:m] + 1, n, m) for _ in range(4000)]
    return tuple(float(each) for each in np.quantile(found, 1 - _VOTE_P, axis=0))


def otava(python: str, suite: Sequence[Series]) -> list[list[Alarm]]:
    """Apache Otava itself, with its defaults, in the environment of another Python."""
    answer = _ask(python, _OTAVA, [series.values for series in suite])
    return [[Alarm(*alarm) for alarm in alarms] for alarms in answer]


def bayesect(
    python: str, commits: int, step: float, searches: int, seed: int
) -> list[tuple[bool, int]]:
    """git_bayesect itself: whether each search was right, and its runs, until 95 % sure.

    A run fails where it lies on the worse side of the middle between the two levels, which it is
    told; no run is stored.
    """
    answer = _ask(python, _BAYESECT, [commits, step, searches, seed])
    return [(bool(right), int(runs)) for right, runs in answer]


def _ask(python: str, program: str, question: object) -> list[Any]:
    answer = subprocess.run(
        [python, "-c", program],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[Any] = json.loads(answer.stdout)
    return found
