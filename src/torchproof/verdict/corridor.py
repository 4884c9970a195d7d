"""The evidence for "worse" and the corridor it has to leave before anything is decided.

The evidence is the logarithm of the likelihood ratio between "worse by the effect" and "no
change". Sigma and both levels are unknown and enter by what does not depend on them: Student's t,
whose ratio has a simple law however long the test goes on (Wald 1947; Barnard 1952; Hall, Wijsman
and Ghosh 1965). The test ends when the ratio leaves a corridor that narrows with information: half
way between Wald's parallel lines, which are the fastest on average (Wald and Wolfowitz 1948) and
may never end, and Whitehead's triangle, which always ends (Whitehead 1997).
Lines that are crossed in leaps are moved inwards by the mean leap over them (Siegmund 1985).

The effect counts in run-to-run standard deviations, information in runs with a known base.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from torchproof.verdict.robust import log_sum


if TYPE_CHECKING:
    from torchproof.verdict.noise import Shift

SLOPE = 0.1
LEAP = 0.583

# Half width of the corridor at no information, by error rate, for a Brownian motion: computed by
# `benchmarks/verdict/compare.py --calibrate`.
HALF_WIDTHS = (
    (0.2, 1.558),
    (0.1, 2.575),
    (0.05, 3.536),
    (0.025, 4.464),
    (0.01, 5.664),
    (0.0025, 7.442),
    (0.001, 8.604),
)

# What estimated sigma, base level and heavy tails add to it for "worse" and for "not worse": a
# factor, more of it per degree of freedom, and a further factor where the base still grows, which
# pays for the look at all of it once it is long enough. Fitted with `benchmarks/verdict/compare.py`
# to normal, t3 and spiky noise.
_WORSE, _NOT_WORSE = (1.03, 1.6, 1.08), (1.0, 0.95, 1.13)
# The factors with pairs, whose correlation is estimated, too: at 5 %, and more for rarer errors.
_PAIRS_WORSE, _PAIRS_NOT_WORSE, _PAIRS_RARER = 1.47, 1.46, 0.03


class Rates(NamedTuple):
    """What the test promises.

    Attributes:
        effect: The smallest change worth acting on, in standard deviations of a run.
        alpha: Chance of "worse" where nothing changed.
        beta: Chance of "not worse" where the head is worse by the effect.
    """

    effect: float
    alpha: float
    beta: float


def evidence(shift: Shift, effect: float) -> float:
    """Return the log likelihood ratio of "worse by the effect" to "no change".

    Args:
        shift: Oriented so that positive is worse; its sigma is not 0.
        effect: In standard deviations of a run.
    """
    if shift.mixture:
        return log_sum(likely + evidence(part, effect) for likely, part in shift.mixture) - log_sum(
            likely for likely, _ in shift.mixture
        )
    size = shift.size / shift.sigma
    if math.isinf(shift.freedom):
        return effect * (size - effect / 2) * shift.information
    t = size * math.sqrt(shift.information)
    share = t / math.sqrt(t * t + shift.freedom)
    return _student(share, shift.information, shift.freedom, effect)


def corridor(
    information: float,
    freedom: float,
    runs: int,
    rates: Rates,
    *,
    short: bool = False,
    paired: bool = False,
) -> tuple[float, float]:
    """Return where the test ends with "worse" and, as a positive number, with "not worse".

    Args:
        information: Of the shift at this look.
        freedom: Degrees of freedom of sigma.
        runs: Runs of the head that count.
        rates: What the test promises.
        short: The base still grows, and the same runs will be looked at once more.
        paired: They share their seeds with runs of the base.
    """
    step = rates.effect * math.sqrt(information / runs)
    closed = SLOPE * rates.effect**2 * information + LEAP * step
    worse, not_worse = (
        (_of_pairs(_PAIRS_WORSE, rates.alpha), _of_pairs(_PAIRS_NOT_WORSE, rates.beta))
        if paired
        else (_margin(shares, freedom, short=short) for shares in (_WORSE, _NOT_WORSE))
    )
    up, down = half_width(rates.alpha) * worse, half_width(rates.beta) * not_worse
    return max(up - closed, 0.0), max(down - closed, 0.0)


def _margin(shares: tuple[float, float, float], freedom: float, *, short: bool) -> float:
    known, per_freedom, growing = shares
    return (known + per_freedom / freedom) * (growing if short else 1.0)


def _of_pairs(factor: float, error: float) -> float:
    return factor * (1 + _PAIRS_RARER * math.log(0.05 / error))


def can_end(
    information: float, freedom: float, runs: int, rates: Rates, *, short: bool = False
) -> bool:
    """Say whether any values at all could end the test at this look."""
    if math.isinf(freedom):
        return True
    up, down = corridor(information, freedom, runs, rates, short=short)
    highest = _student(1.0, information, freedom, rates.effect)
    return highest >= up or _student(-1.0, information, freedom, rates.effect) <= -down


@lru_cache(maxsize=64)
def half_width(error: float) -> float:
    """Return half the corridor's width at no information; between the table's rows by log error."""
    x = -math.log(error)
    points = [(-math.log(rate), width) for rate, width in ((0.5, 0.0), *HALF_WIDTHS)]
    rows = list(pairwise(points))
    (x1, y1), (x2, y2) = next((row for row in rows if x <= row[1][0]), rows[-1])
    return y1 + (y2 - y1) * (x - x1) / (x2 - x1)


def _student(share: float, information: float, freedom: float, effect: float) -> float:
    """Return the log ratio of the noncentral to the central density of t.

    Both are an integral of ``x**f * exp(-x*x/2 + tilt*x)`` over positive x, taken here by Laplace's
    method around its peak; off by less than 0.03 from 3 degrees of freedom on.
    """
    tilt = effect * math.sqrt(information) * share
    peak, flat = (tilt + math.sqrt(tilt * tilt + 4 * freedom)) / 2, math.sqrt(freedom)
    return (
        tilt * peak
        - effect * effect * information / 2
        + freedom * math.log(peak / flat)
        - (peak * peak - freedom) / 2
        - 0.5 * math.log((1 + freedom / peak**2) / 2)
    )
