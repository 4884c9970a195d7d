"""How many runs `verdict.blame` takes to find the first worse commit, and how often it is right.

    python -m benchmarks.verdict.blame                        2,000 searches a case, some minutes
    python -m benchmarks.verdict.blame --quick                20
    python -m benchmarks.verdict.blame --rivals VENV/bin/python   adds git_bayesect 1.2

"Levels known" is a search that follows a confirmed alarm: ten runs each of the newest and of the
last good commit and a hundred earlier values of main. "Nothing known" has fifty earlier values and
not one run of a suspect. The limit is that of noisy search, ``0.95 ln n`` over the capacity of the
channel between two levels, which no search that knows both levels and is right 95 % of the time can
beat without stored runs. "All told" is a search on the same projects that is told both levels and
sigma exactly and that a commit is to blame: what not knowing them costs is the difference.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import accumulate, islice
from typing import TYPE_CHECKING

from benchmarks.verdict import rivals

from torchproof.verdict import blame


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEARCHES, QUICK = 2_000, 20
_LEARNT = 10
_CHUNK = 100


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
    searches: int

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


def told(project: Project) -> bool:
    """Halve the posterior with both levels and sigma known, until a commit is 95 % sure."""
    step = project.case.step
    evidence = [0.0] * project.case.commits
    for commit, values in project.observed.items():
        evidence[commit] += sum(step * (value - step / 2) for value in values)
    while True:
        after = list(accumulate(reversed(evidence), initial=0.0))[:0:-1]
        weights = [0.0, *(math.exp(value - max(after[1:])) for value in after[1:])]
        posterior = [weight / sum(weights) for weight in weights]
        if max(posterior) >= 0.95:  # noqa: PLR2004 - at which 97 % are right
            return posterior.index(max(posterior)) == project.first
        doubts = [abs(mass - 0.5) for mass in accumulate(posterior)]
        at = doubts.index(min(doubts))
        evidence[at] += step * (project.run(at) - step / 2)


WAYS: dict[str, Callable[[Project], bool]] = {
    "blame": ours,
    "all told": told,
    "git bisect, 1 run a step": bisect,
    "git bisect, 5 runs a step": partial(bisect, repeats=5),
}


def measure(
    repetitions: int, seed: int, jobs: int | None = None, python: str | None = None
) -> list[Figure]:
    """Search in all cases; the other ways where the levels are known.

    Args:
        repetitions: Searches of each case.
        seed: Of the projects.
        jobs: Processes.
        python: One that has git_bayesect.
    """
    known = replace(CASES[2], anchor="")
    pairs = [("blame", case) for case in CASES] + [("all told", case) for case in CASES[:3:2]]
    pairs += [(way, known) for way in WAYS if way.startswith("git")]
    starts = range(0, repetitions, _CHUNK)
    parts = [range(at, min(at + _CHUNK, repetitions)) for at in starts]
    chunks = [(*pair, part, seed) for pair in pairs for part in parts]
    figures = []
    with ProcessPoolExecutor(jobs) as pool:
        done = pool.map(_search, *zip(*chunks, strict=True))
        for way, case in pairs:
            sums = zip(*islice(done, len(parts)), strict=True)
            right, runs = (sum(column) / repetitions for column in sums)
            figures.append(Figure(way, case, right, runs, repetitions))
    return figures + (_bayesect(python, known, repetitions // 4, seed) if python else [])


def _search(way: str, case: Case, repetitions: range, seed: int) -> tuple[int, int]:
    """Return how many searches were right and how many runs they took."""
    right = runs = 0
    for repetition in repetitions:
        project = Project(case, seed * 1_000_003 + repetition)
        right += WAYS[way](project)
        runs += project.runs
    return right, runs


def _bayesect(python: str, case: Case, repetitions: int, seed: int) -> list[Figure]:
    found = rivals.bayesect(python, case.commits, case.step, max(repetitions, 20), seed)
    right, runs = (sum(column) / len(found) for column in zip(*found, strict=True))
    return [Figure("git_bayesect 1.2", case, right, runs, len(found))]


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


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    head = "| way | case, 64 commits and 2 sigma | right | runs | limit | target | anchor | met |\n"
    return head + "|---" * 8 + "|\n" + "\n".join(figure.row() for figure in figures)


def main() -> int:
    """Simulate and print; 1 if a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--rivals", help="a Python that has git_bayesect 1.2")
    options = parser.parse_args()
    count = QUICK if options.quick else SEARCHES
    figures = measure(count, options.seed, options.jobs, options.rivals)
    if options.json:
        rows = [{**asdict(f), "limit": f.limit, "met": f.met} for f in figures]
        print(json.dumps(rows, indent=1))
    else:
        print(table(figures))
    return int(any(figure.met is False for figure in figures))


if __name__ == "__main__":
    raise SystemExit(main())
