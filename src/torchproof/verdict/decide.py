"""One tier's metrics against the stored runs of main, at one error rate.

A test whose numbers all equal those of the same seed on the baseline did not change: equal bits
need no statistics. Every other metric that has a direction and no tolerance is compared, all of a
tier together by `compare_all`: the chance of any false "worse" is 5 %, that of missing a loss of
one run-to-run standard deviation is 5 % for each. Of a curve, the steps that it took to learn the
batch are compared; curves are a family of their own, as they do not gate.

Head and main are paired by seed where that pays: where main's own runs of one seed correlate by
`PAYS` or more, and `STORED` seeds of it are there for the head's further runs to take. Both are
known before the head has run, so that no value chooses the test. What the correlation was on main
it need not be with the head; how much a pair tells is therefore learnt from the pairs alone. A run
of the head whose seed main lacks is then left out.

Where all stored runs share one seed, their spread need not be that between seeds. Then the head's
own further seeds have to bear it out: three runs at least, and not twice as far apart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from torchproof.record import Metric
from torchproof.verdict import noise
from torchproof.verdict.comparable import is_time
from torchproof.verdict.family import Samples, compare_all
from torchproof.verdict.replicates import LEAST, Level, Run, level
from torchproof.verdict.sequential import STORED


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torchproof.record import Record
    from torchproof.verdict.compare import Comparison
    from torchproof.verdict.model import Tier

ALPHA = BETA = 0.05
FEWEST_OF_ONE_SEED = 3
MOST_APART = 2.0
# Correlation above which a test with pairs takes fewer runs than one without against as many stored
# runs: by `benchmarks/verdict/compare.py` that is 0.2 with 20 of them and 0.5 with 50.
PAYS = 0.6

Key = tuple[str, str, str]  # kind (metric or curve), test, name
Obstacle = Literal["", "few", "one-seed", "missing"]


class _Sign(NamedTuple):
    """What two runs' numbers must share to be compared."""

    test: str
    name: str
    unit: str
    better: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the runs say about one metric.

    Attributes:
        comparison: With the stored runs of main.
        values: The head's, in order of arrival.
        stored: Those of main's independent runs.
        obstacle: What no further run of the head can help: ``few`` runs of main, all of
            ``one-seed`` and closer together than the head's seeds, or values ``missing`` in runs
            of the head.
        more: How many runs the head wants next; 0 where it is decided or cannot be.
        missing: Runs of the head that left no value.
        seeds: Those of main's runs, newest first, where the head is paired with them.
    """

    comparison: Comparison
    values: tuple[float, ...]
    stored: tuple[float, ...]
    obstacle: Obstacle = ""
    more: int = 0
    missing: int = 0
    seeds: tuple[int, ...] = ()

    @property
    def verdict(self) -> str:
        """``worse``, ``not-worse`` or ``undecided``."""
        return "undecided" if self.obstacle or self.more else self.comparison.verdict


def decide(tier: Tier) -> dict[Key, Decision]:
    """Compare the tier's metrics; empty where main has no stored run to compare with."""
    if not tier.stored or not tier.base or tier.differences:
        return {}
    return _family(tier, "metric") | _family(tier, "curve")


def _family(tier: Tier, kind: str) -> dict[Key, Decision]:
    """Compare what shares one error rate."""
    runs = (*tier.head, *tier.further)
    heads, bases = _values(runs, kind), _values(tier.stored, kind)
    found = _compared(tier, kind)
    stored = {key: level(bases.get(sign, [])) for key, sign in found.items()}
    compared = compare_all(
        {key: _samples(heads[sign], stored[key], sign) for key, sign in found.items()},
        alpha=ALPHA,
        beta=BETA,
    )
    return {
        key: _decision(compared[key], heads[sign], stored[key], len(runs))
        for key, sign in found.items()
    }


def bit_equal(tier: Tier) -> frozenset[str]:
    """Return the tests whose numbers and curves equal those of the same seed on the baseline."""
    equal: dict[str, bool] = {}
    for run in tier.head:
        partners = [_numbers(base) for base in tier.base if base.seed == run.seed]
        for test, found in _numbers(run).items():
            if partners:
                same = all(partner.get(test) == found for partner in partners)
                equal[test] = equal.get(test, True) and same
    return frozenset(test for test, same in equal.items() if same)


def _numbers(record: Record) -> Mapping[str, Mapping[str, Any]]:
    """Return by test what training decides: judged metrics and curves."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for metric in _measured(record, "metric"):
        found[metric.test][f"metric {metric.name}"] = metric.value
    for curve in record.curves:
        found[curve.test][f"curve {curve.name}"] = curve.values
    return found


def _compared(tier: Tier, kind: str) -> dict[Key, _Sign]:
    """Return what noise decides about: numbers that all runs asked for have, on both sides."""
    if kind == "metric" and tier.tolerance is not None:
        return {}
    bounded = {_sign(m) for run in tier.head for m in run.metrics if m.tolerance is not None}
    still, base = bit_equal(tier), _values(tier.base, kind)
    return {
        (kind, sign.test, sign.name): sign
        for sign, runs in _values(tier.head, kind).items()
        if sign.test not in still
        and sign not in bounded
        and len(runs) == len(tier.head)
        and all(math.isfinite(run.value) for run in (*runs, *base.get(sign, [])))
        and sign in base
    }


def _measured(record: Record, kind: str) -> Iterable[Metric]:
    """Return the metrics that have a direction, or of each curve the steps that learning took."""
    if kind == "curve":
        return [
            Metric(each.test, each.name, float(each.steps), "steps", "lower")
            for each in record.curves
            if each.converged
        ]
    return [each for each in record.metrics if each.better and not is_time(each.unit)]


def _values(records: Iterable[Record], kind: str) -> dict[_Sign, list[Run]]:
    """Return the values of complete runs, one a run: the last where a test recorded several."""
    found: dict[_Sign, list[Run]] = defaultdict(list)
    for record in records:
        if record.state == "complete":
            last = {_sign(each): each.value for each in _measured(record, kind)}
            for sign, value in last.items():
                found[sign].append(Run(record.seed, value))
    return found


def _sign(metric: Metric) -> _Sign:
    return _Sign(metric.test, metric.name, metric.unit, metric.better or "")


def _samples(head: Sequence[Run], main: Level, sign: _Sign) -> Samples:
    paired = _pays(main)
    return Samples(
        head=[run.value for run in head],
        base=_beside(head, main.runs) if paired else [run.value for run in main.runs],
        better=cast("Literal['lower', 'higher']", sign.better),
        paired=paired,
        stored=len(main.runs),
    )


def _pays(main: Level) -> bool:
    return main.correlation >= PAYS and len(main.runs) >= STORED


def _beside(head: Sequence[Run], base: Sequence[Run]) -> list[float]:
    """Return main's runs, first those of the head's seeds in its order; NaN where it has none."""
    left = {run.seed: run.value for run in base}
    partners = [left.pop(run.seed, math.nan) for run in head]
    return [*partners, *left.values()]


def _decision(compared: Comparison, head: Sequence[Run], main: Level, runs: int) -> Decision:
    values = tuple(run.value for run in head)
    missing = runs - len(values)
    obstacle, more = _obstacle(values, main.runs, missing), compared.more_runs.head
    if obstacle == "one-seed" and len(values) < FEWEST_OF_ONE_SEED:
        obstacle, more = "", FEWEST_OF_ONE_SEED - len(values)
    return Decision(
        comparison=compared,
        values=values,
        stored=tuple(run.value for run in main.runs),
        obstacle=obstacle,
        more=0 if obstacle else more,
        missing=missing,
        seeds=tuple(run.seed for run in reversed(main.runs)) if _pays(main) else (),
    )


def _obstacle(head: Sequence[float], base: Sequence[Run], missing: int) -> Obstacle:
    if not all(map(math.isfinite, head)):
        return ""
    if len(base) < LEAST:
        return "few"
    if missing:
        return "missing"
    if len({run.seed for run in base}) > 1:
        return ""
    apart = MOST_APART * noise.alone([run.value for run in base])
    borne_out = len(head) >= FEWEST_OF_ONE_SEED and noise.alone(head) <= apart
    return "" if borne_out else "one-seed"
