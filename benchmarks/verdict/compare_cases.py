"""What `verdict.compare` is tried on, and how: simulated runs, looked at after every one of them.

Noises, all with independent runs: ``normal``; ``t3``, Student's t with 3 degrees of freedom scaled
to a standard deviation of 1; ``spiky``, normal with 2 % of the runs moved by 8 sigma to either
side, where sigma and the effect count without the spikes, which is the harder reading.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from torchproof.verdict.corridor import Rates
from torchproof.verdict.sequential import STORED, Look, walk


NOISES = ("normal", "t3", "spiky")
CAP = 150
USUAL = Rates(effect=1.0, alpha=0.05, beta=0.05)
_SPIKES, _SPIKE = 0.02, 8.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to compare.

    Attributes:
        what: In words.
        noise: One of `NOISES`.
        stored: Runs of the base that were there before.
        grows: The base runs too, as `more_runs` asks; else only the head does.
        told: The test is told how many runs are stored; else it goes by their number.
        rates: Effect and error rates.
        known: Sigma is known.
        rho: Correlation of same-seed runs, whose test is not told; None without pairs.
        most: Target for the expected runs, both with and without an effect; None without one.
        anchor: What regression.md §4 measured for the best alternative, in words.
        repetitions: Experiments with and without an effect each.
    """

    what: str
    noise: str
    stored: int = 0
    grows: bool = False
    told: bool = False
    rates: Rates = USUAL
    known: bool = False
    rho: float | None = None
    most: float | None = None
    anchor: str = ""
    repetitions: int = 20_000


@dataclass(frozen=True, kw_only=True)
class Share:
    """Sums over some experiments of one case."""

    case: Case
    changed: bool
    experiments: int
    runs: int
    wrong: int
    undecided: int


def simulate(case: Case, changed: bool, experiments: int, seed: int) -> Share:  # noqa: FBT001 - mapped over
    """Run experiments in which the head is worse by the effect, or unchanged."""
    random = np.random.default_rng(seed)
    length = CAP + max(case.stored, STORED)
    base = _noise(random, case.noise, experiments, length)
    head = _noise(random, case.noise, experiments, length)
    if case.rho is not None:
        head = case.rho * base + math.sqrt(1 - case.rho**2) * head
    head = head + changed * case.rates.effect
    runs = wrong = undecided = 0
    for now, before in zip(head.tolist(), base.tolist(), strict=True):
        look = _experiment(case, now, before)
        runs += look.runs.head + max(0, look.runs.base - case.stored)
        wrong += look.verdict == ("not-worse" if changed else "worse")
        undecided += look.verdict == "undecided"
    return Share(
        case=case,
        changed=changed,
        experiments=experiments,
        runs=runs,
        wrong=wrong,
        undecided=undecided,
    )


def _experiment(case: Case, head: list[float], base: list[float]) -> Look:
    """Look after every run until decided, or at `CAP` runs of the head."""
    if not case.grows:
        return _walk(case, head[:CAP], base[: case.stored])
    if case.told:
        return _walk(case, head[:CAP], base)
    runs = max(case.stored, STORED - 1)
    look = _walk(case, head[:runs], base[:runs])
    while look.verdict == "undecided" and runs < CAP:
        runs += 1
        look = _walk(case, head[:runs], base[:runs])
    return look


def _walk(case: Case, head: list[float], base: list[float]) -> Look:
    return walk(
        head,
        base,
        case.rates,
        stored=case.stored if case.told else None,
        paired=case.rho is not None,
        sigma=1.0 if case.known else None,
    )


def _noise(random: np.random.Generator, kind: str, experiments: int, length: int) -> np.ndarray:
    shape = (experiments, length)
    if kind == "t3":
        return random.standard_t(3, shape) / math.sqrt(3)
    values = random.standard_normal(shape)
    if kind == "spiky":
        spikes = np.sign(random.uniform(-1, 1, shape)) * (random.random(shape) < _SPIKES)
        values += _SPIKE * spikes
    return values
