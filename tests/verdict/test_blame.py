"""Which commit made a metric worse, at the least number of runs."""

import math
import random

import pytest

from torchproof.errors import UsageError
from torchproof.verdict import blame
from torchproof.verdict.robust import WILD, wild_share


class BuildError(Exception):
    pass


class Bench:
    """Commits c0, c1 …, worse from one of them on, and the runs that were asked for."""

    def __init__(self, count, first_worse, step=3.0, seed=0):
        self.source = random.Random(seed)
        self.commits = [f"c{i}" for i in range(count)]
        self.worse = set(self.commits[first_worse:])
        self.step = step
        self.history = [self.source.gauss(10, 1) for _ in range(30)]
        self.asked = []

    def value(self, commit):
        return self.source.gauss(10 + self.step * (commit in self.worse), 1)

    def run(self, commit):
        self.asked.append(commit)
        return self.value(commit)

    def nightly(self):
        return {commit: [self.value(commit)] for commit in self.commits}

    def blamed(self, observed=(), **options):
        options = {"better": "lower", "history": self.history, **options}
        return blame(self.commits, dict(observed), options.pop("run", self.run), **options)


def test_a_step_is_found_without_any_stored_run():
    bench = Bench(64, 40)
    answer = bench.blamed()
    assert (answer.commit, answer.cause) == ("c40", "code")
    assert answer.probability >= 0.9
    assert answer.suspects == ("c40",)
    assert answer.runs == len(bench.asked) <= 20


def test_stored_runs_spare_most_of_the_others():
    bench = Bench(64, 40)
    answer = bench.blamed(bench.nightly())
    assert answer.commit == "c40"
    assert answer.runs <= 6


def test_higher_is_better_turns_everything_round():
    bench = Bench(32, 9, step=-3.0)
    assert bench.blamed(bench.nightly(), better="higher").commit == "c9"


def test_an_environment_that_moved_is_no_commits_fault():
    bench = Bench(32, 12)
    stored = bench.nightly()
    bench.worse = set(bench.commits)
    answer = bench.blamed(stored)
    assert (answer.commit, answer.cause) == (None, "environment")
    assert answer.probability >= 0.9


def test_old_data_tells_data_from_environment():
    bench = Bench(32, 12)
    stored = bench.nightly()
    bench.worse = set(bench.commits)
    healthy = bench.blamed(stored, run_old_data=lambda _: bench.source.gauss(10, 1))
    assert (healthy.commit, healthy.cause) == (None, "data")
    still_worse = bench.blamed(stored, run_old_data=lambda _: bench.source.gauss(13, 1))
    assert still_worse.cause == "environment"


def test_nothing_worse_is_an_answer():
    bench = Bench(16, 16)
    answer = bench.blamed({"c15": [bench.value("c15")]})
    assert (answer.commit, answer.cause) == (None, "none")


def test_commits_that_do_not_build_are_gone_around():
    bench = Bench(32, 20)
    broken = {"c15", "c16", "c23"}

    def run(commit):
        if commit in broken:
            raise BuildError
        return bench.run(commit)

    answer = bench.blamed(run=run, skip=BuildError)
    assert answer.commit == "c20"
    assert answer.runs == len(bench.asked)


def test_a_culprit_that_does_not_build_shares_the_blame_with_the_next_that_does():
    bench = Bench(32, 20)

    def run(commit):
        if commit == "c20":
            raise BuildError
        return bench.run(commit)

    answer = bench.blamed(run=run, skip=BuildError)
    assert set(answer.suspects) == {"c20", "c21"}
    assert answer.probability < 0.9


def test_runs_that_diverge_are_far_worse():
    bench = Bench(32, 20)
    answer = bench.blamed(run=lambda c: math.nan if c in bench.worse else bench.value(c))
    assert answer.commit == "c20"


def test_without_history_the_first_commit_is_the_reference():
    bench = Bench(16, 9)
    answer = bench.blamed(history=())
    assert answer.commit == "c9"
    assert bench.asked[:8] == ["c0"] * 8


def test_the_search_keeps_to_its_budget():
    bench = Bench(64, 40, step=0.3)
    assert bench.blamed(most_runs=7).runs == 7


def test_a_metric_that_repeats_exactly_is_a_plain_bisection():
    commits = list(range(64))
    answer = blame(commits, {}, lambda c: 1.0 + (c >= 37), better="lower", history=[1.0] * 8)
    assert answer.commit == 37
    assert answer.runs <= 9


def test_no_commit_is_one_sentence():
    with pytest.raises(UsageError, match="no commit to blame"):
        blame([], {}, float, better="lower")


@pytest.mark.parametrize("kind", ["gauss", "t3", "spikes"])
def test_nine_of_ten_answers_are_right_whatever_the_noise(kind):
    source = random.Random(kind)

    def noise():
        if kind == "t3":
            return source.gauss(0, 1) / math.sqrt(source.gammavariate(1.5, 2))
        spike = source.choice((-8, 8)) if kind == "spikes" and source.random() < 0.02 else 0
        return source.gauss(0, 1) + spike

    right = 0
    for _ in range(60):
        first = source.randrange(1, 32)
        history = [noise() for _ in range(40)]
        answer = blame(
            range(32),
            {},
            lambda c, f=first: noise() + 2 * (c >= f),
            better="lower",
            history=history,
        )
        right += answer.commit == first
    assert right >= 54


def test_answers_are_right_as_often_as_their_probability_says():
    right, said, runs = 0, 0.0, 0
    for seed in range(150):
        bench = Bench(64, 1 + seed % 63, step=2.0, seed=seed)
        answer = bench.blamed(bench.nightly())
        right += answer.commit == f"c{1 + seed % 63}"
        said += answer.probability
        runs += answer.runs
    allowed = 3.5 * math.sqrt(150 * 0.03 * 0.97)
    assert right >= 150 * 0.97 - allowed
    assert abs(right - said) <= allowed
    assert runs <= 150 * 6


def test_a_history_without_wild_runs_makes_every_run_tell_more():
    source = random.Random(1)
    calm = [source.gauss(0, 1) for _ in range(100)]
    wild = [8.0 if i % 10 == 0 else value for i, value in enumerate(calm)]
    assert wild_share(calm) < WILD < wild_share(wild)
    assert wild_share([]) == pytest.approx(WILD, abs=0.01)
