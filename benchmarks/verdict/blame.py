"""How many runs `verdict.blame` takes to find the first worse commit, and how often it is right.

    python -m benchmarks.verdict.blame            1,000 searches a case, some minutes
    python -m benchmarks.verdict.blame --quick    40

"Levels known" is a search that follows a confirmed alarm: ten runs each of the newest and of the
last good commit and a hundred earlier values of main. "Nothing known" has fifty earlier values and
not one run of a suspect. The limit is that of noisy search, ``0.95 ln n`` over the capacity of the
channel between two levels, which no search that knows both levels and is right 95 % of the time can
beat without stored runs.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from torchproof.verdict import blame


if TYPE_CHECKING:
    from collections.abc import Callable

_LEARNT = 10


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of search; ``step`` in standard deviations of a run."""

    what: str
    commits: int = 64
    step: float = 2.0
    nightly: bool = False
    levels: bool = False
    environment: bool = False
    noise: str = "gauss"
    most_runs: float | None = None
    anchor: str = ""


@dataclass(frozen=True)
class Figure:
    """What a way to search did on a case."""

    way: str
    case: Case
    right: float
    runs: float

    @property
    def met(self) -> bool | None:
        """Whether 97 % are right within the runs; None without a target."""
        if self.case.most_runs is None or self.way != "blame":
            return None
        return self.right >= 0.97 and self.runs <= self.case.most_runs  # noqa: PLR2004 - target

    @property
    def limit(self) -> float | None:
        """Runs that a search without stored runs needs at least."""
        if self.case.nightly:
            return None
        return 0.95 * math.log(self.case.commits) / capacity(self.case.step)

    def row(self) -> str:
        """Return a line of the table."""
        most = self.case.most_runs
        target = f"≥ 97 % in ≤ {most}" if most and self.way == "blame" else ""
        limit = "" if self.limit is None else f"{self.limit:.1f}"
        met = {None: "", True: "yes", False: "no"}[self.met]
        anchor = self.case.anchor if self.way == "blame" else ""
        numbers = f"{100 * self.right:.1f} % | {self.runs:.2f}"
        cells = (self.way, self.case.what, numbers, limit, target, anchor, met)
        return f"| {' | '.join(cells)} |"


CASES = (
    Case(what="nightly runs, levels known", nightly=True, levels=True, most_runs=4.0),
    Case(what="nightly runs", nightly=True, anchor="97 % in 3.5, levels given"),
    Case(what="levels known", levels=True, most_runs=13.5),
    Case(what="nothing known", anchor="98 % in 12.7, levels given"),
    Case(what="16 commits, nightly runs", commits=16, nightly=True),
    Case(what="nightly runs, 1 sigma", nightly=True, step=1.0),
    Case(what="nightly runs, 3 sigma", nightly=True, step=3.0),
    Case(what="nightly runs, t3", nightly=True, noise="t3"),
    Case(what="nightly runs, spikes", nightly=True, noise="spikes"),
    Case(what="nightly runs, environment moved", nightly=True, environment=True),
)


class Project:
    """Commits of which one is the first worse, with stored and fresh runs."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case, self.source, self.runs = case, random.Random(seed), 0
        self.first = self.source.randrange(1, case.commits)
        self.commits = range(case.commits)
        self.history = [self._noise() for _ in range(100 if case.levels else 50)]
        self.observed = {c: [self._stored(c)] for c in self.commits} if case.nightly else {}
        for known in (0, case.commits - 1) if case.levels else ():
            self.observed.setdefault(known, []).extend(self._now(known) for _ in range(_LEARNT))

    def run(self, commit: int) -> float:
        """Train a commit now."""
        self.runs += 1
        return self._now(commit)

    def _now(self, commit: int) -> float:
        return self._noise() if self._good_now(commit) else self._noise() + self.case.step

    def _good_now(self, commit: int) -> bool:
        return commit < self.first and not self.case.environment

    def _stored(self, commit: int) -> float:
        return self._noise() + self.case.step * (commit >= self.first)

    def _noise(self) -> float:
        value = self.source.gauss(0, 1)
        if self.case.noise == "t3":
            return value / math.sqrt(self.source.gammavariate(1.5, 2))
        spike = self.case.noise == "spikes" and self.source.random() < 0.02  # noqa: PLR2004
        return value + self.source.choice((-8, 8)) * spike


def ours(project: Project) -> bool:
    """Ask `verdict.blame`."""
    answer = blame(
        project.commits, project.observed, project.run, better="lower", history=project.history
    )
    if project.case.environment:
        return answer.cause == "environment"
    return answer.commit == project.first


def bisect(project: Project, repeats: int = 1) -> bool:
    """``git bisect run``: halve by the mean of so many runs, against a line half way."""
    good, bad = 0, project.case.commits - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        mean = sum(project.run(middle) for _ in range(repeats)) / repeats
        good, bad = (good, middle) if mean > project.case.step / 2 else (middle, bad)
    return bad == project.first


def pass_or_fail(project: Project) -> bool:
    """git_bayesect's search: Beta(.5, .5) on both failure rates, pass or fail, stop at 95 %."""
    line = project.case.step / 2
    seen = [project.observed.get(commit, []) for commit in project.commits]
    fails = [sum(value > line for value in values) for values in seen]
    passes = [sum(value <= line for value in values) for values in seen]
    for _ in range(300):
        posterior = _beta_posterior(fails, passes)
        if max(posterior) >= 0.95:  # noqa: PLR2004 - the tool's own
            break
        before = [abs(mass - 0.5) for mass in accumulate(posterior)]
        at = before.index(min(before))
        worse = project.run(at) > line
        fails[at] += worse
        passes[at] += not worse
    return posterior.index(max(posterior)) == project.first


def _beta_posterior(fails: list[int], passes: list[int]) -> list[float]:
    fails_before = list(accumulate(fails, initial=0))
    passes_before = list(accumulate(passes, initial=0))
    logs = []
    for k in range(len(fails)):
        before = (fails_before[k], passes_before[k])
        after = (fails_before[-1] - before[0], passes_before[-1] - before[1])
        logs.append(_log_beta(*before) + _log_beta(*after))
    weights = [math.exp(value - max(logs)) for value in logs]
    return [weight / sum(weights) for weight in weights]


def _log_beta(fails: int, passes: int) -> float:
    total = math.lgamma(fails + passes + 1)
    return math.lgamma(fails + 0.5) + math.lgamma(passes + 0.5) - total


WAYS: dict[str, Callable[[Project], bool]] = {
    "git bisect, 1 run a step": bisect,
    "git bisect, 5 runs a step": partial(bisect, repeats=5),
    "git_bayesect (pass or fail)": pass_or_fail,
}


def measure(repetitions: int, seed: int) -> list[Figure]:
    """Search in all cases; the other ways where the levels are known."""
    figures = [_figure("blame", ours, case, repetitions, seed) for case in CASES]
    known = replace(CASES[2], anchor="")
    return figures + [
        _figure(way, search, known, max(repetitions // 4, 20), seed) for way, search in WAYS.items()
    ]


def _figure(
    way: str, search: Callable[[Project], bool], case: Case, repetitions: int, seed: int
) -> Figure:
    right = runs = 0
    for repetition in range(repetitions):
        project = Project(case, seed * 1_000_003 + repetition)
        right += search(project)
        runs += project.runs
    return Figure(way, case, right / repetitions, runs / repetitions)


def capacity(step: float, points: int = 2000) -> float:
    """Return the nats that one run tells about which of two equally likely levels it is from."""
    width = (step + 16) / points
    total = 0.0
    for i in range(points):
        x = -8 + (i + 0.5) * width
        good, bad = (math.exp(-((x - level) ** 2) / 2) for level in (0.0, step))
        mix = (good + bad) / 2
        total += good * math.log(good / mix) / 2 + bad * math.log(bad / mix) / 2
    return total * width / math.sqrt(2 * math.pi)


def main() -> int:
    """Simulate and print; 1 if a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    figures = measure(40 if options.quick else 1000, options.seed)
    if options.json:
        rows = [{**asdict(f), "limit": f.limit, "met": f.met} for f in figures]
        print(json.dumps(rows, indent=1))
    else:
        print(
            "| way | case, 64 commits and 2 sigma | right | runs | limit | target | anchor | met |"
        )
        print("|---" * 8 + "|\n" + "\n".join(figure.row() for figure in figures))
    return int(any(figure.met is False for figure in figures))


if __name__ == "__main__":
    raise SystemExit(main())
