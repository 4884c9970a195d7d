"""Several metrics of one change share one error rate.

At 5 % each, twenty metrics alarm on 64 % of changes that did nothing. Holm's step-down keeps the
chance of any false "worse" at alpha whatever the metrics have to do with each other, and holds for
sequential tests as well (Holm 1979; Bartroff and Song 2014): each metric is tested at alpha over
the number of metrics, and whenever some are worse, the others at alpha over the number left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from torchproof.verdict.compare import Comparison, compare


if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

Metric = TypeVar("Metric", bound="Hashable")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """One metric's runs, as `compare` takes them."""

    head: Sequence[float]
    base: Sequence[float]
    better: Literal["lower", "higher"]
    paired: bool = False
    stored: int | None = None

    @property
    def finite(self) -> bool:
        """False where a run of the head diverged, which is a fact and no test."""
        return all(math.isfinite(value) for value in self.head)


def compare_all(
    metrics: Mapping[Metric, Samples],
    *,
    effect: float = 1.0,
    alpha: float = 0.05,
    beta: float = 0.05,
) -> dict[Metric, Comparison]:
    """Compare every metric of a change; the chance of any false ``worse`` is alpha in all.

    Args:
        metrics: By name.
        effect: The smallest change worth acting on, in run-to-run standard deviations.
        alpha: Accepted chance of any ``worse`` where nothing changed.
        beta: Accepted chance, for each metric, of ``not-worse`` where it is worse by the effect.
    """
    tested = [name for name, samples in metrics.items() if samples.finite]
    worse: set[Metric] = set()
    while True:
        level = alpha / max(len(tested) - len(worse), 1)
        found = {name: _compare(samples, effect, level, beta) for name, samples in metrics.items()}
        now = {name for name in tested if found[name].verdict == "worse"}
        if now <= worse:
            return found
        worse |= now


def _compare(samples: Samples, effect: float, alpha: float, beta: float) -> Comparison:
    return compare(
        samples.head,
        samples.base,
        better=samples.better,
        effect=effect,
        alpha=alpha,
        beta=beta,
        paired=samples.paired,
        stored=samples.stored,
    )
