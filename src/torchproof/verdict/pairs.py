"""The shift as pairs of runs show it: what the runs of one seed have in common is taken off.

Each run of the head is held against what the base's run of its seed leads one to expect, which
leaves ``1 - rho**2`` of its variance; runs of the base without a partner still tell its level and
sigma (double sampling with regression, Cochran 1977, §12). Nobody knows the correlation rho, and a
single stray random number ends it: it may be any of `CORRELATIONS`, each as likely as the runs make
it. For each of them the shift is one of Student's; the evidence is the ratio of how likely the runs
are in the mean of all with and without the effect (Robbins 1970).

Assumed: a seed's two runs are normal with one sigma, and nothing else is shared. Wild runs are set
aside or drawn in as `noise` does it, by the spread of either side alone, since an accident of a
seed may be on both.
"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from torchproof.verdict import noise
from torchproof.verdict.noise import Shift


if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 3
# Equal steps of Fisher's z = artanh(rho), which is estimated equally well wherever it lies.
CORRELATIONS = [math.tanh(step / 2) for step in range(7)]
# Robust sigma at which a run is wild: lower than without pairs, as few pairs make sigma large.
_FAR = 3.0


class _Sums(NamedTuple):
    """What the runs that count amount to, whatever the correlation is.

    Attributes:
        pairs: How many there are.
        base: How many runs of the base there are, with or without a partner.
        apart: Mean of the head's runs minus that of the base's.
        ahead: Mean of the base's runs with a partner minus that of all.
        around_base: Sum of squares of the base's runs around their mean.
        around_head: Likewise of the head's.
        around_partners: Likewise of the base's with a partner.
        together: Sum of products of both runs of each pair, around the means.
    """

    pairs: int
    base: int
    apart: float
    ahead: float
    around_base: float
    around_head: float
    around_partners: float
    together: float


def within(head: Sequence[float], base: Sequence[float], sigma: float | None) -> Shift | None:
    """Estimate the shift of pairs of runs that share a seed; None where they are too few.

    Args:
        head: One value a run, at least one; ``head[i]`` shares its seed with ``base[i]``.
        base: As many, or more.
        sigma: Of one run, where it is known.
    """
    middle, wide = median(base), _spread(head, base, sigma)
    counted, before = (noise.counted(side, middle, wide, _FAR) for side in (head, base))
    pairs = [
        (now, then)
        for now, then in zip(counted, before, strict=False)
        if now is not None and then is not None
    ]
    if len(pairs) < LEAST:
        return None
    sums = _sums(pairs, [value for value in before if value is not None])
    if sigma is None and not sums.around_base + sums.around_head:
        return Shift(sums.apart, 0.0, sums.pairs, sums.pairs, sums.pairs)
    bound = noise.drawn_in([now for now, _ in pairs], middle, wide)
    return _mean(sums, sigma)._replace(bound=bound)


def _spread(head: Sequence[float], base: Sequence[float], sigma: float | None) -> float:
    """Return robust sigma of both sides, which took the same accidents."""
    if sigma is not None:
        return sigma
    squares = sum((len(side) - 1) * noise.spread((), side, None) ** 2 for side in (head, base))
    return math.sqrt(squares / max(len(head) + len(base) - 2, 1))


def _sums(pairs: Sequence[tuple[float, float]], base: Sequence[float]) -> _Sums:
    head, partners = ([pair[side] for pair in pairs] for side in (0, 1))
    (now, around_head), (then, around_partners) = noise.moments(head), noise.moments(partners)
    level, around_base = noise.moments(base)
    return _Sums(
        pairs=len(pairs),
        base=len(base),
        apart=now - level,
        ahead=then - level,
        around_base=around_base,
        around_head=around_head,
        around_partners=around_partners,
        together=sum((x - now) * (y - then) for x, y in pairs),
    )


def _mean(sums: _Sums, sigma: float | None) -> Shift:
    """Return the shift over all correlations, by how well each fits whatever the shift is."""
    found = [_under(rho, sums, sigma) for rho in CORRELATIONS]
    most = max(fit for fit, _, _ in found)
    shares = [math.exp(fit - most) for fit, _, _ in found]
    parts = [part for _, _, part in found]

    def mean(values: Sequence[float]) -> float:
        return sum(x * share for x, share in zip(values, shares, strict=True)) / sum(shares)

    return Shift(
        size=mean([part.size for part in parts]),
        sigma=mean([part.sigma for part in parts]),
        information=1 / mean([1 / part.information for part in parts]),
        freedom=parts[0].freedom,
        runs=sums.pairs,
        mixture=tuple((likely, part) for _, likely, part in found),
    )


def _under(rho: float, sums: _Sums, sigma: float | None) -> tuple[float, float, Shift]:
    """Return the shift if the correlation is rho, after two logs of how likely the runs are then.

    The first of them is for any shift, the second for none. Level and sigma are integrated out.
    """
    left = 1 - rho * rho
    information = 1 / (left / sums.pairs + (1 - rho) ** 2 / sums.base)
    size = sums.apart - rho * sums.ahead
    own = sums.around_head - 2 * rho * sums.together + rho * rho * sums.around_partners
    squares, freedom = sums.around_base + own / left, sums.base + sums.pairs - 2
    shared = -(sums.pairs - 1) / 2 * math.log(left)
    moved = squares + size * size * information
    if sigma is None:
        fit, none = -freedom / 2 * math.log(squares), -(freedom + 1) / 2 * math.log(moved)
        part = Shift(size, math.sqrt(squares / freedom), information, freedom, sums.pairs)
    else:
        fit, none = (-each / (2 * sigma * sigma) for each in (squares, moved))
        part = Shift(size, sigma, information, math.inf, sums.pairs)
    return shared + fit, shared + none + math.log(information) / 2, part
