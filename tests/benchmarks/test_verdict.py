"""The figures of the statistics: what prints them, what they are compared with, and the limits."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys

import numpy as np
import pytest
from benchmarks.verdict import rivals
from benchmarks.verdict.blame import CASES, Project, told
from benchmarks.verdict.labelled import WHERE, labelled
from benchmarks.verdict.optimum import LEAST, chain, least
from scipy import stats

from benchmarks import readme


def test_the_quick_form_prints_every_figure_beside_its_target(tmp_path):
    command = [sys.executable, "-m", "benchmarks.verdict", "--quick", "--repetitions", "100"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=readme.README.parent,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    table = done.stdout.split("## claims")[1]
    for words in (
        "against 20 stored runs",
        "stored runs alone",
        "by fresh runs",
        "of 64, two sigma",
    ):
        assert re.search(rf"\| [^|]*{words}[^|]* \| [^|]+ \| [≥≤0-9][^|]* \|", table), words
    page = tmp_path / "README.md"
    page.write_text(readme.README.read_text("utf-8"))
    readme.write("verdict", table, file=page)
    assert table in page.read_text()


def test_the_chain_of_estimates_has_students_law_at_every_number_of_runs():
    stored, effect, head = 20, 1.0, 6
    walk = chain(stored, effect, head, 240)
    grid = np.linspace(-2.5, 3.5, 241)
    share, freedom = np.sqrt(stored * head / (stored + head)), stored + head - 2
    ratio = stats.nct.logpdf(share * grid, freedom, share * effect) - stats.t.logpdf(
        share * grid, freedom
    )
    middle = slice(60, 200)
    assert np.allclose(walk.ratios[-1][middle], ratio[middle], atol=1e-3)
    for changed, law in ((False, stats.t(freedom)), (True, stats.nct(freedom, share * effect))):
        here = walk.start[changed]
        for moves in walk.moves[:-1]:
            here = here @ moves[changed]
        assert np.allclose(np.cumsum(here), law.cdf(share * (grid + 0.0125)), atol=5e-3)


def test_no_test_that_has_to_learn_the_noise_meets_walds_limit():
    runs = least(50, longest=25, cells=90)
    assert LEAST[50] == pytest.approx(sum(runs) / 2, rel=0.15)
    assert LEAST[20] > LEAST[50] > LEAST[200] > 5.3


def test_perfherders_vote_hears_a_step_when_twelve_values_of_it_are_there():
    source = random.Random(3)
    values = [source.gauss(100 + 6 * (i >= 40), 2) for i in range(80)]
    alarms = rivals.perfherder_vote(values)
    assert any(abs(alarm.blamed - 40) <= 1 for alarm in alarms)
    assert all(alarm.seen == alarm.blamed + 11 for alarm in alarms)
    assert all(abs(alarm.blamed - 40) > 1 for alarm in rivals.perfherder_vote(values[::-1]))


def test_perfherders_vote_blames_no_value_that_is_not_there():
    source = random.Random(224)
    values = [source.gauss(100 + 5 * (i >= 29), 2) for i in range(40)]
    assert max(alarm.seen for alarm in rivals.perfherder_vote(values)) == len(values) - 1


def test_a_search_that_is_told_everything_is_right_as_often_as_it_says():
    projects = [Project(CASES[0], seed) for seed in range(200)]
    assert sum(map(told, projects)) >= 0.93 * len(projects)
    assert sum(project.runs for project in projects) <= 5 * len(projects)


def test_labelled_series_are_named_where_they_are_not_at_hand(tmp_path):
    assert labelled(None) == WHERE
    assert "TCPD: not there" in labelled(tmp_path)
