"""How a regression goes on: when it is over, and when it is back.

Behind a step for the worse both levels are known, more or less: the one before it, and the one
after. Page's cumulative sum of the log likelihood ratio between them (Continuous inspection
schemes, Biometrika 41, 1954) is the fastest rule for known ones (Lorden 1971): where the sum has
risen by `EVIDENCE` since its lowest point, the level has changed there. Noise is that of `robust`,
so that no single wild run brings it about. The worse level is the median of its runs so far, at
least one sigma away. Assumes independent runs. By simulation with 40 runs from before, normal and
spiky noise: one wrong turn in 230 runs or more behind a step of one sigma, 400 behind two, 3,700
behind four; the way back is seen after 13, 7 and 3 runs (``tests/verdict/test_course.py``).
"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Literal

from torchproof.verdict.detect import detect, orientation
from torchproof.verdict.robust import clip, location, log_density, sigma_of


if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Better = Literal["lower", "higher"]

EVIDENCE = 8.0

_LEVEL, _LEAST = 40, 2
_SMALLEST_STEP, _FARTHEST = 1.0, 8.0
_OTHER: Mapping[str, Better] = {"lower": "higher", "higher": "lower"}


def course(values: Sequence[float | None], since: int, *, better: Better) -> list[int]:
    """Return where a metric was worse, back, worse again …: it is worse now if their number is odd.

    Args:
        values: As for `detect`.
        since: The first worse value, which is the first that is returned.
        better: Whether ``lower`` or ``higher`` values are better.
    """
    distances = _distances(values, since, orientation(better))
    turns, start, evidence, level = [since], since, 0.0, _SMALLEST_STEP
    for at, distance in enumerate(distances[since:], start=since):
        worse = len(turns) % 2 == 1
        if worse:
            level = max(_SMALLEST_STEP, median(distances[turns[-1] : max(start, turns[-1] + 1)]))
        ratio = log_density(distance) - log_density(distance - level)
        if worse and not _finite([values[turns[-1]]]):
            # Where there was no number, the next one settles it.
            ratio = EVIDENCE if _finite([values[at]]) else 0.0
        evidence += ratio if worse else -ratio
        if evidence >= EVIDENCE:
            turns.append(start)
        if evidence <= 0 or evidence >= EVIDENCE:
            evidence, start = 0.0, at + 1
    return turns


def last_change(values: Sequence[float | None], *, better: Better) -> int:
    """Return where the level that a history ends at begins: the last step, for worse or better."""
    steps = (*detect(values, better=better), *detect(values, better=_OTHER[better]))
    return max((each.index for each in steps if math.isfinite(each.size)), default=0)


def _distances(values: Sequence[float | None], since: int, sign: int) -> list[float]:
    """Return all values in sigma from the level before a step, positive is worse."""
    before = _finite(values[:since])[-_LEVEL:]
    if len(before) < _LEAST:
        return [0.0 if _finite([value]) else _FARTHEST for value in values]
    middle = median(before)
    sigma = sigma_of([value - middle for value in before], middle)
    level = location(before, sigma)
    return [
        clip(sign * (value - level) / sigma, -_FARTHEST, _FARTHEST)
        if value is not None and math.isfinite(value)
        else _FARTHEST
        for value in values
    ]


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]
