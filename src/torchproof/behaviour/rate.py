"""How often a model fails: a proportion with an interval for the inputs that were not tried."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Rate:
    """So many failures among so many inputs.

    A fixed model gives fixed answers on fixed inputs: within a run nothing is uncertain. The
    interval is about the capability, for inputs drawn like the ones at hand.
    """

    failures: int
    trials: int

    @property
    def value(self) -> float:
        """The part of the inputs that failed."""
        return self.failures / self.trials

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return Wilson's score interval, which also holds for small numbers and at 0 and 1.

        Wilson (1927), J. Am. Stat. Assoc. 22, 209; recommended by Brown, Cai and DasGupta (2001),
        Statistical Science 16, 101.
        """
        z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
        n, p = self.trials, self.value
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
        low = 0.0 if self.failures == 0 else middle - half
        high = 1.0 if self.failures == n else middle + half
        return low, high

    def __str__(self) -> str:
        low, high = self.interval()
        inputs = "input fails" if self.trials == 1 else "inputs fail"
        span = f"95 % interval {percent(low)} to {percent(high)}"
        return f"{self.failures} of {self.trials} {inputs}, {percent(self.value)} ({span})"


def percent(part: float) -> str:
    """Write a part of 1 in percent, with two digits that matter."""
    return f"{100 * part:.2g} %" if part < 0.995 else f"{100 * part:.3g} %"  # noqa: PLR2004 - 100 %
