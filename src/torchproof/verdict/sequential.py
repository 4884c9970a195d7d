"""The sequential test along the head: one look after every run, until one decides.

Because the looks are taken in the order in which the head's runs arrived, a later one cannot undo
an answer. A look sees the runs of the base that were stored before, and where the base runs too, as
many as the head has. With `STORED` of them or more only the head has to run; with fewer, both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from torchproof.verdict import noise, pairs
from torchproof.verdict.corridor import can_end, corridor, evidence


if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchproof.verdict.corridor import Rates
    from torchproof.verdict.noise import Shift

STORED = 20
_CONSTANT = 3  # equal runs on one side that stand for "no noise"; the other side needs one less
_MOST = 100  # runs to ask for at once


class Runs(NamedTuple):
    """Numbers of runs of either side."""

    head: int
    base: int


NONE = Runs(0, 0)


class Look(NamedTuple):
    """The test at one number of runs; ``up`` and ``down`` are what it takes to end it."""

    runs: Runs
    shift: Shift | None = None
    evidence: float = 0.0
    up: float = math.inf
    down: float = math.inf

    @property
    def verdict(self) -> Literal["worse", "not-worse", "undecided"]:
        """Where the evidence lies: outside the corridor on either side, or in it."""
        if self.evidence >= self.up:
            return "worse"
        return "not-worse" if self.evidence <= -self.down else "undecided"


def walk(
    head: Sequence[float],
    base: Sequence[float],
    rates: Rates,
    *,
    stored: int | None = None,
    paired: bool = False,
    sigma: float | None = None,
) -> Look:
    """Return the first look that ends the test, or the last one."""
    look = Look(Runs(len(head), len(base)))
    old = _guess(look.runs) if stored is None else stored
    short = stored is None and not old
    for runs in range(1, (min(len(head), len(base)) if paired else len(head)) + 1):
        seen = base[: max(runs, old)]
        if seen:
            shift = (pairs.within if paired else noise.between)(head[:runs], seen, sigma)
            look = _look(Runs(runs, len(seen)), shift, rates, short=short)
        if look.verdict != "undecided":
            return look
    return look


def _guess(runs: Runs) -> int:
    """Return how many runs of the base were stored, where nobody says.

    Equal numbers beyond `STORED` stand for runs that came in twos, and a short base for one that
    still grows.
    """
    in_twos = runs.head == runs.base > STORED
    return 0 if in_twos or runs.base < STORED else runs.base


def _look(runs: Runs, shift: Shift | None, rates: Rates, *, short: bool) -> Look:
    if shift is None:
        return Look(runs)
    if not shift.sigma:
        return _without_noise(runs, shift)
    paired = bool(shift.mixture)
    up, down = corridor(
        shift.information, shift.freedom, shift.runs, rates, short=short, paired=paired
    )
    return Look(runs, shift, evidence(shift, rates.effect), up, down)


def _without_noise(runs: Runs, shift: Shift) -> Look:
    """Compare two constants: any difference is one, once there are enough runs to say constant."""
    if shift.size:
        known = max(runs) >= _CONSTANT and min(runs) >= _CONSTANT - 1
    else:
        known = sum(runs) >= _CONSTANT
    return Look(runs, shift, math.copysign(math.inf, shift.size or -1) if known else 0.0)


def wanted(
    given: Runs, rates: Rates, *, stored: int | None, paired: bool, sigma: float | None
) -> Runs:
    """Return what an undecided test should see next: the fewest runs that could end it.

    Once the head outnumbers a stored base, a run of the base tells as much as one of the head; it
    is asked for only where ``stored`` tells old runs from new ones.
    """
    head, base = given
    alone = stored is None and not paired and _guess(given) > 0
    target = max(
        pairs.LEAST if paired else _fewest(given, rates, stored, sigma),
        head if head > base and not alone else head + 1,
    )
    return Runs(target - head, 0 if alone else max(0, target - base))


def _fewest(given: Runs, rates: Rates, stored: int | None, sigma: float | None) -> int:
    """Return the least number of head runs at which the test could end."""
    old = _guess(given) if stored is None else stored
    short = stored is None and not old
    for head in range(1, _MOST):
        base = max(head, old)
        freedom = math.inf if sigma is not None else head + base - 2
        information = head * base / (head + base)
        if freedom > 0 and can_end(information, freedom, head, rates, short=short):
            return head
    return _MOST
