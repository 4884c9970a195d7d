"""Is a head worse than its base: one metric, one value a run, decided on run-to-run noise.

The answer is `sequential`: it may be asked for after every run, and once given it stays. `noise`
says what is assumed of the runs, `pairs` what of those with a seed in common, `corridor` which test
it is.

Several metrics of one change share its error rate; see `compare_all`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

from torchproof.errors import UsageError
from torchproof.verdict import noise
from torchproof.verdict.corridor import Rates
from torchproof.verdict.sequential import NONE, STORED, Look, Runs, walk, wanted


if TYPE_CHECKING:
    from collections.abc import Sequence

_NORMAL = NormalDist()
_HALF = 0.5
_LARGEST = 1e60  # beyond what a float32 holds; squares stay numbers


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the runs say so far.

    Attributes:
        verdict: ``worse``, ``not-worse`` or ``undecided``.
        interval: Head minus base in the metric's unit and sign; holds the true change at any
            number of looks with a chance of 1 - alpha - beta. Without 0 where worse, without the
            effect where not worse.
        smallest_detectable: Size of change in the metric's unit that the test tells from none at
            the stated error rates; infinite while the noise is unknown.
        more_runs: What to run next; nothing where decided.
        change: Head minus base in the metric's unit, without the runs that were set aside.
        sigma: Standard deviation from run to run, in the metric's unit.
        runs: What the verdict rests on; later runs were not looked at.
        reason: One sentence.
    """

    verdict: Literal["worse", "not-worse", "undecided"]
    interval: tuple[float, float] = (-math.inf, math.inf)
    smallest_detectable: float = math.inf
    more_runs: Runs = NONE
    change: float = math.nan
    sigma: float = math.nan
    runs: Runs = NONE
    reason: str = ""


def compare(
    head: Sequence[float],
    base: Sequence[float],
    *,
    better: Literal["lower", "higher"],
    effect: float = 1.0,
    alpha: float = 0.05,
    beta: float = 0.05,
    paired: bool = False,
    sigma: float | None = None,
    stored: int | None = None,
) -> Comparison:
    """Compare the runs of a head with those of its base.

    The noise may be normal, heavy-tailed or spiky; see `noise` for what is assumed of it and
    `sequential` for the test. A run of the head that is not finite, or larger than any float32,
    makes it worse at once; such runs of the base are left out.

    Args:
        head: One value a run, in order of arrival.
        base: One value a run.
        better: Which values are better.
        effect: The smallest change worth acting on, in run-to-run standard deviations.
        alpha: Accepted chance of ``worse`` where nothing changed.
        beta: Accepted chance of ``not-worse`` where the head is worse by the effect.
        paired: ``head[i]`` and ``base[i]`` share a seed; the base may go on without partners. See
            `pairs` for the test.
        sigma: Standard deviation of a run in the metric's unit, where it is known from elsewhere.
        stored: How many of the base's runs, the first ones, were there before the head's first.
            None stands for all where they are `sequential.STORED` or more, and for none where they
            are fewer, or beyond that just as many as the head's.

    Raises:
        UsageError: A parameter is out of its range.
    """
    rates = Rates(effect, alpha, beta)
    _check(better, rates, sigma, stored)
    for position, value in enumerate(head, 1):
        if not _usable(value):
            why = f"run {position} of the head ended in {value}"
            return Comparison(verdict="worse", runs=Runs(position, len(base)), reason=why)
    sign = 1 if better == "lower" else -1
    now, before = _oriented(head, base, sign, paired=paired)
    look = walk(now, before, rates, stored=stored, paired=paired, sigma=sigma)
    given = Runs(len(now), len(before))
    spread = look.shift.sigma if look.shift else sigma or noise.alone(before)
    return Comparison(
        verdict=look.verdict,
        interval=_interval(look, rates, sign),
        smallest_detectable=_detectable(look, rates, spread, paired=paired),
        more_runs=wanted(given, rates, stored=stored, paired=paired, sigma=sigma)
        if look.verdict == "undecided"
        else NONE,
        change=sign * look.shift.size if look.shift else math.nan,
        sigma=spread,
        runs=look.runs,
        reason=_reason(look, rates),
    )


def _check(better: str, rates: Rates, sigma: float | None, stored: int | None) -> None:
    if better not in ("lower", "higher"):
        raise UsageError(f"better={better!r} is no direction", "Say 'lower' or 'higher'.")
    if not (math.isfinite(rates.effect) and rates.effect > 0):
        raise UsageError(f"effect={rates.effect} is no size", "Give a positive number of sigma.")
    for name, rate in (("alpha", rates.alpha), ("beta", rates.beta)):
        if not 0 < rate < _HALF:
            raise UsageError(f"{name}={rate} is no error rate", "Give one between 0 and 0.5.")
    if stored is not None and stored < 0:
        raise UsageError(f"stored={stored} is no number of runs", "Give a count, or None.")
    if sigma is not None and not 1 / _LARGEST < sigma < _LARGEST:
        raise UsageError(f"sigma={sigma} is no spread", "Give a positive number, or None.")


def _oriented(
    head: Sequence[float], base: Sequence[float], sign: int, *, paired: bool
) -> tuple[list[float], list[float]]:
    """Turn worse to positive, and leave out runs of the base that are not finite.

    With pairs, the head's run of the same seed goes too.
    """
    if paired:
        head = [x for i, x in enumerate(head) if i >= len(base) or _usable(base[i])]
    return [sign * x for x in head], [sign * x for x in base if _usable(x)]


def _usable(value: float) -> bool:
    return math.isfinite(value) and abs(value) < _LARGEST


def _interval(look: Look, rates: Rates, sign: int) -> tuple[float, float]:
    """Return the changes that the test has not ruled out, which is what it decides by.

    The repeated confidence interval of Jennison and Turnbull (1989) that belongs to the corridor.
    """
    shift = look.shift
    if shift is None or (not shift.sigma and look.verdict == "undecided"):
        return -math.inf, math.inf
    if not shift.sigma:
        return sign * shift.size, sign * shift.size
    scale = rates.effect * shift.information
    size, seen = shift.size / shift.sigma, look.evidence / scale + rates.effect / 2
    low = min(size, seen) - look.up / scale - rates.effect / 2
    high = max(size, seen) + look.down / scale + rates.effect / 2
    if shift.bound:
        low, high = (low, math.inf) if size > 0 else (-math.inf, high)
    low = max(low, 0.0) if look.verdict == "worse" else low
    high = min(high, rates.effect) if look.verdict == "not-worse" else high
    low, high = sorted((sign * low * shift.sigma, sign * high * shift.sigma))
    return low, high


def _detectable(look: Look, rates: Rates, spread: float, *, paired: bool) -> float:
    """Return the effect, or more where it takes more than all the base can tell."""
    if math.isnan(spread) or (not spread and look.verdict == "undecided"):
        return math.inf
    needed = -_NORMAL.inv_cdf(rates.alpha) - _NORMAL.inv_cdf(rates.beta)
    limit = needed / math.sqrt(look.runs.base) if look.runs.base >= STORED and not paired else 0.0
    return max(rates.effect, limit) * spread


def _reason(look: Look, rates: Rates) -> str:
    head, base = look.runs
    runs = f"{head} {'run' if head == 1 else 'runs'} against {base}"
    if look.shift is None:
        return f"{runs} are too few"
    if not look.shift.sigma:
        word = "equal" if not look.shift.size else "without any noise"
        return f"{runs}, {word}"
    if look.verdict == "worse":
        return f"worse by about {_deviations(look.shift.size / look.shift.sigma)} after {runs}"
    effect = _deviations(rates.effect)
    if look.verdict == "not-worse":
        return f"worse by {effect} is ruled out after {runs}"
    return f"{runs} cannot tell no change from one of {effect}"


def _deviations(count: float) -> str:
    return f"{count:.2g} run-to-run standard deviation{'' if count == 1 else 's'}"
