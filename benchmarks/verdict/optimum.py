"""The fewest head runs that any test against stored runs needs, where level and sigma are unknown.

    python -m benchmarks.verdict.optimum    a minute

Wald's limit is for a known sigma. An unknown one has to be learnt from the same runs. Of a test
whose answer does not depend on the metric's unit and zero, all that counts is the difference of the
means over the pooled standard deviation, which is a Markov chain as runs of the head arrive (Hall,
Wijsman and Ghosh 1965). The best times to stop it follow by backward induction (Wald and Wolfowitz
1948; Arrow, Blackwell and Girshick 1949): each run costs one, each of the two errors what makes its
rate come out as wanted. Normal noise; the mean of the runs without and with the effect is least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats  # type: ignore[import-untyped]


if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

# Mean of the least expected runs without and with an effect of one sigma, at 5 %/5 %, by stored
# runs, as this module prints them.
LEAST = {20: 10.5, 50: 6.9, 200: 5.8}

_LOW, _HIGH = -2.5, 3.5
_NOISE, _WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
_SPREADS = np.linspace(0.25, 2.2, 101)
_ROUNDS, _CLOSE = 30, 1e-4


@dataclass(frozen=True)
class Chain:
    """The effect as estimated from 1, 2, 3 … head runs, on a grid.

    Attributes:
        start: Its probabilities after the first run, without and with the effect.
        moves: Its transitions from each number of runs to the next, likewise.
        ratios: The log likelihood ratio of "effect" to "none" that each value stands for.
    """

    start: tuple[Numbers, Numbers]
    moves: list[tuple[Numbers, Numbers]]
    ratios: list[Numbers]


def least(
    stored: int, effect: float = 1.0, error: float = 0.05, *, longest: int = 60, cells: int = 480
) -> tuple[float, float]:
    """Return the least expected head runs, without and with the effect.

    Args:
        stored: Runs of the base.
        effect: In standard deviations of a run.
        error: Rate of either error.
        longest: Runs at which the test ends at the latest.
        cells: Of the grid.
    """
    walk = chain(stored, effect, longest, cells)
    prices = (150.0, 150.0)
    for _ in range(_ROUNDS):
        errors, runs = _outcome(walk, _stops(walk, prices))
        if max(abs(each - error) for each in errors) < _CLOSE:
            break
        alarm, miss = (
            price * (each / error) ** 0.9 for price, each in zip(prices, errors, strict=True)
        )
        prices = (alarm, miss)
    return runs


def chain(stored: int, effect: float, longest: int, cells: int) -> Chain:
    """Return the estimate's law for so many stored runs."""
    grid = np.linspace(_LOW, _HIGH, cells + 1)
    pairs = [
        tuple(_law(grid, stored, head, each) for each in (0.0, effect))
        for head in range(1, longest + 1)
    ]
    shares = np.sqrt(stored / (stored + 1))
    edges = np.concatenate([[-np.inf], (grid[1:] + grid[:-1]) / 2, [np.inf]]) * shares
    before = np.diff(stats.t.cdf(edges, stored - 1))
    after = np.diff(stats.nct.cdf(edges, stored - 1, effect * shares))
    return Chain(
        start=(before, after),
        moves=[(same[1], worse[1]) for same, worse in pairs],
        ratios=[worse[0] - same[0] for same, worse in pairs],
    )


def _law(grid: Numbers, stored: int, head: int, effect: float) -> tuple[Numbers, Numbers]:
    """Return the log likelihood of each value of the grid, and where the next run takes it.

    The sum of squares around both means is taken for 1: that is the free choice of a unit. What the
    runs so far say of sigma is then a density of ``1/sigma``, here `precision`.
    """
    runs, freedom, information = stored + head, stored + head - 2, stored * head / (stored + head)
    apart = (grid / np.sqrt(freedom))[:, None]
    precision = (_SPREADS * np.sqrt(freedom))[None]
    off = apart * precision - effect
    logs = freedom * np.log(precision) - (precision**2 + information * off**2) / 2
    top = logs.max(1, keepdims=True)
    weights = np.exp(logs - top)
    total = weights.sum(1, keepdims=True)
    expected = -stored * off / runs
    value = (expected[..., None] + np.sqrt(1 + 1 / runs) * _NOISE) / precision[..., None]
    squares = 1 + value**2 * head / (head + 1)
    following = (apart[..., None] + value / (head + 1)) / np.sqrt(squares) * np.sqrt(freedom + 1)
    chances = (weights / total)[..., None] * (_WEIGHTS / _WEIGHTS.sum())
    return (np.log(total) + top)[:, 0], _spread(following, chances)


def _spread(places: Numbers, chances: Numbers) -> Numbers:
    """Put the chances of each row on the two cells of the grid next to their places."""
    count = len(places)
    exact = np.clip((places - _LOW) / (_HIGH - _LOW), 0, 1 - 1e-9) * (count - 1)
    cell = exact.astype(int)
    rows = np.arange(count)[:, None, None] * count
    moves = np.zeros(count * count)
    for at, share in ((cell, 1 - exact + cell), (cell + 1, exact - cell)):
        moves += np.bincount((rows + at).ravel(), (chances * share).ravel(), count * count)
    return moves.reshape(count, count)


def _stops(walk: Chain, prices: tuple[float, float]) -> list[tuple[NDArray[np.bool_], Numbers]]:
    """Return, for each number of runs, where to stop and how likely the effect is there."""
    found: list[tuple[NDArray[np.bool_], Numbers]] = []
    risk: Numbers | None = None
    for ratio, (same, worse) in zip(reversed(walk.ratios), reversed(walk.moves), strict=True):
        chance = 1 / (1 + np.exp(-ratio))
        stop = np.minimum((1 - chance) * prices[0], chance * prices[1])
        go = (
            np.full_like(stop, np.inf)
            if risk is None
            else 1 + (1 - chance) * (same @ risk) + chance * (worse @ risk)
        )
        risk = np.minimum(stop, go)
        found.append((stop <= go, (1 - chance) * prices[0] - chance * prices[1]))
    return found[::-1]


def _outcome(
    walk: Chain, stops: list[tuple[NDArray[np.bool_], Numbers]]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return both error rates, and the expected runs without and with the effect."""
    errors, runs = [], []
    for changed in (False, True):
        here, wrong, spent = walk.start[changed], 0.0, 0.0
        for (stop, regret), moves in zip(stops, walk.moves, strict=True):
            spent += float(here.sum())
            says_worse = regret < 0
            wrong += float(here[stop & (says_worse != changed)].sum())
            here = np.where(stop, 0.0, here) @ moves[changed]
        errors.append(wrong)
        runs.append(spent)
    return (errors[0], errors[1]), (runs[0], runs[1])


def main() -> None:
    """Print the least runs; the grid's error, which is quadratic in its cells, is taken off."""
    print("| stored | least runs: no change / worse | mean | in use |\n|-|-|-|-|")
    for stored, used in LEAST.items():
        same, worse = (
            (4 * fine - coarse) / 3
            for fine, coarse in zip(least(stored), least(stored, cells=240), strict=True)
        )
        print(f"| {stored} | {same:.2f} / {worse:.2f} | {(same + worse) / 2:.2f} | {used} |")


if __name__ == "__main__":
    main()
