"""The noise of main's stored runs decides about metrics without a tolerance."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.docs.pages import table
from tests.samples import GPU, curve, metric, outcome, record

from torchproof.verdict import judge


REPETITIONS = 100


def run(value, seed=0, **fields):
    return record(metric(value=value), seed=seed, **fields)


def main(source, runs=20, sigma=0.01, **fields):
    return [run(source.gauss(0.93, sigma), seed, **fields) for seed in range(runs)]


def decided(values, stored, most=8):
    """Judge one value, and run on with the others while that is wanted."""
    head, further = [run(values[0])], []
    while True:
        verdict = judge(head, [stored[0]], stored=stored, further=further)
        wanted = verdict.wanted.get("unit", 0)
        if not wanted or 1 + len(further) + wanted > most:
            return verdict, 1 + len(further)
        further += [run(values[n], n) for n in range(len(further) + 1, len(further) + 1 + wanted)]


def row(verdict, kind="metric"):
    return next(row for row in verdict.rows if row.kind == kind)


def test_a_loss_far_beyond_the_noise_is_worse_after_few_runs():
    verdict, runs = decided([0.90] * 8, main(random.Random(1)))
    found = row(verdict)
    assert (found.state, found.before, found.now) == ("worse", "0.9305", "0.9")
    assert found.why == "3.3 % lower; 90 % interval -0.0505 … -0.0017 by 2 runs against 20 of main"
    assert (runs, verdict.word) == (2, "worse")


def test_a_change_within_the_noise_is_the_same_once_a_loss_is_ruled_out():
    verdict, runs = decided([0.935, 0.934, 0.937, 0.936, 0.933], main(random.Random(1)))
    assert row(verdict).state == "same"
    assert row(verdict).why.startswith("worse by 0.0091 is ruled out; 90 % interval -")
    assert row(verdict).runs == runs
    assert verdict.word == "not-worse"


def test_an_undecided_metric_says_what_it_sees_and_what_it_wants():
    verdict = judge([run(0.92)], [run(0.93)], stored=main(random.Random(1)))
    assert row(verdict).state == "undecided"
    assert "1.1 % lower, which is worse; 90 % interval" in row(verdict).why
    assert "smallest detectable 0.009" in row(verdict).why
    assert row(verdict).why.endswith("more run could decide")
    assert verdict.wanted == {"unit": 1}
    assert verdict.passed


def test_a_head_with_more_runs_than_main_says_that_main_lacks_some():
    halfway = [0.925 + 0.01 * (-1) ** n for n in range(20)]
    verdict, runs = decided(halfway, main(random.Random(1), runs=9), most=20)
    assert (row(verdict).state, runs) == ("undecided", 10)
    assert row(verdict).why.endswith("; more runs of main could decide")


def test_bit_equal_runs_need_no_statistics():
    stored = main(random.Random(2))
    verdict = judge([stored[3]], stored, stored=stored)
    assert (row(verdict).state, row(verdict).runs, verdict.wanted) == ("same", 0, {})


def test_a_number_that_is_equal_by_chance_is_decided_where_its_test_changed():
    stored = [
        record(metric(value=0.93), metric("loss", 0.1 + seed / 100, better="lower"), seed=seed)
        for seed in range(20)
    ]
    head = record(metric(value=0.93), metric("loss", 0.31, better="lower"))
    verdict = judge([head], [stored[0]], stored=stored)
    assert {found.name: found.runs for found in verdict.rows if found.kind == "metric"} == {
        "loss": 1,
        "val/accuracy": 1,
    }


def test_a_tolerance_keeps_its_meaning_and_is_not_moved_by_further_runs():
    head, base = record(metric(value=0.93, tolerance=0.01)), record(metric(value=0.93))
    far = [record(metric(value=0.5, tolerance=0.01), seed=seed) for seed in range(1, 5)]
    verdict = judge([head], [base], stored=main(random.Random(1)), further=far)
    assert (row(verdict).state, row(verdict).limit) == ("same", "≥0.92")


def test_a_change_that_takes_a_tolerance_away_is_decided_on_noise():
    stored = [
        record(metric(value=made.metrics[0].value, tolerance=0.5), seed=made.seed)
        for made in main(random.Random(1))
    ]
    verdict = judge([run(0.8)], stored[:1], stored=stored, further=[run(0.8, 1)])
    assert row(verdict).state == "worse"


@pytest.mark.parametrize(("runs", "lacking"), [(1, "7 more runs"), (7, "1 more run")])
def test_too_few_stored_runs_ask_for_more_of_main(runs, lacking):
    verdict = judge([run(0.92)], [run(0.93)], stored=main(random.Random(1), runs=runs))
    assert f"needs {lacking} of main, with other seeds: {runs} cannot show" in row(verdict).why
    assert not verdict.wanted


def test_runs_on_other_hardware_and_broken_runs_show_no_noise():
    other = {"environment": {"torch": "2.13.0", "python": "3.11.2"}, "hardware": GPU}
    for fields in ({"fingerprint": other}, {"state": "crashed"}):
        stored = [*main(random.Random(1), **fields), run(0.93, 77)]
        verdict = judge([run(0.92)], [run(0.93)], stored=stored)
        assert "7 more runs of main" in row(verdict).why


def test_main_with_one_seed_is_believed_only_where_other_seeds_bear_it_out():
    source = random.Random(4)
    stored = [run(source.gauss(0.93, 0.01), 0) for _ in range(20)]
    far, runs = decided([0.88, 0.881, 0.879, 0.88], stored)
    assert (row(far).state, runs) == ("worse", 3)
    near = [run(0.93 + n * 1e-6, 0) for n in range(20)]
    apart, _ = decided([0.92, 0.94, 0.93, 0.91], near)
    assert row(apart).state == "undecided"
    assert "those of its one seed lie closer together" in row(apart).why


def test_a_further_run_that_is_not_finite_fails():
    stored = main(random.Random(1))
    verdict = judge([run(0.925)], [run(0.93)], stored=stored, further=[run(math.nan, 1)])
    assert (row(verdict).state, row(verdict).now) == ("failed", "nan")
    assert row(verdict).why == "not finite in 1 of 2 runs"


def test_values_that_further_runs_lack_decide_nothing():
    lost = record(outcome("test_quality", "failed"), seed=1)
    verdict = judge([run(0.92)], [run(0.93)], stored=main(random.Random(1)), further=[lost])
    assert row(verdict).why.startswith("missing in 1 of the further runs")
    assert not verdict.wanted
    assert verdict.passed, "a test that fails at a further seed only is not the change's fault"


def test_a_change_that_fails_already_wants_no_further_run():
    head = record(metric(value=0.92), outcome("test_shapes", "failed"))
    assert not judge([head], [run(0.93)], stored=main(random.Random(1))).wanted


@pytest.mark.parametrize("unit", ["s", "images/s"])
def test_times_are_never_compared_however_many_runs_there_are(unit):
    stored = [
        record(metric("speed", 5 + seed / 10, unit=unit), metric(value=0.9), seed=seed)
        for seed in range(20)
    ]
    verdict = judge(
        [record(metric("speed", 1.0, unit=unit), metric(value=0.9))], stored[:1], stored=stored
    )
    found = next(found for found in verdict.rows if found.name == "speed")
    assert (found.state, found.why) == ("shown", "times are not compared between runs")


values = st.one_of(st.floats(), st.sampled_from([0.0, 0.9, 1e308, -1e308, 5e-324]))
runs = st.builds(
    lambda numbers, seed: record(*(metric(name, x) for name, x in numbers.items()), seed=seed),
    st.dictionaries(st.sampled_from("ab"), values, min_size=1),
    st.integers(0, 3),
)


@settings(deadline=None)
@given(
    head=runs, further=st.lists(runs, max_size=3), stored=st.lists(runs, min_size=1, max_size=24)
)
def test_whatever_was_measured_there_is_one_answer(head, further, stored):
    verdict = judge([head], stored[-1:], stored=stored, further=further)
    assert verdict == judge([head], stored[-1:], stored=stored, further=further)
    odd = [m.name for m in head.metrics if not math.isfinite(m.value)]
    assert {*odd} <= {found.name for found in verdict.rows if found.state == "failed"}
    assert not (verdict.wanted and not verdict.passed)


def repeating(source, rho, nights=20):
    """Return a main whose runs correlate by rho with those of their seed, and what they share.

    Each night has a run of seed 0 and one of a fresh seed.
    """
    shared = {seed: source.gauss(0, 1) for seed in range(nights + 1)}
    seeds = [seed for night in range(1, nights + 1) for seed in (0, night)]
    return [run(value_of(source, rho, shared[seed]), seed) for seed in seeds], shared


def value_of(source, rho, shared, shift=0.0):
    return math.sqrt(rho) * shared + math.sqrt(1 - rho) * source.gauss(0, 1) - shift


def spent(source, *, rho, kept, shift=0.0, most=12):
    """Judge a head until decided; return its verdict, runs and last partners.

    ``rho`` is main's correlation of runs of one seed, ``kept`` that of the head's with main's.
    """
    stored, shared = repeating(source, rho)

    def head(seed):
        common = math.sqrt(kept / rho) * shared[seed] + math.sqrt(1 - kept / rho) * source.gauss(
            0, 1
        )
        return run(value_of(source, rho, common, shift), seed)

    first, further = head(0), []
    while True:
        verdict = judge([first], [stored[-2]], stored=stored, further=further)
        wanted = verdict.wanted.get("unit", 0)
        if not wanted or 1 + len(further) + wanted > most:
            return verdict, 1 + len(further)
        offered = verdict.partners.get("unit", range(21, 99))
        fresh = [seed for seed in offered if seed not in {made.seed for made in further} | {0}]
        further += [
            head(seed) if seed in shared else run(source.gauss(-shift, 1), seed)
            for seed in fresh[:wanted]
        ]


def test_a_head_takes_the_newest_seeds_of_a_main_whose_runs_of_one_seed_lie_close():
    verdict, runs = spent(random.Random(1), rho=0.97, kept=0.97)
    assert verdict.partners["unit"][:2] == (20, 0)
    assert verdict.partners["unit"][2:4] == (19, 18)
    assert f"by {runs} runs against 21 of main, paired by seed" in row(verdict).why
    assert row(verdict).state == "same"


@pytest.mark.parametrize(("rho", "nights"), [(0.3, 20), (0.97, 15)])
def test_without_enough_correlation_or_seeds_nothing_is_paired(rho, nights):
    source = random.Random(2)
    stored, _ = repeating(source, rho, nights)
    verdict = judge([run(0.1)], [stored[-2]], stored=stored)
    assert not verdict.partners
    assert "paired" not in row(verdict).why


def test_a_run_whose_seed_main_lacks_makes_no_pair():
    stored, shared = repeating(random.Random(1), 0.97)
    source = random.Random(3)
    further = [run(value_of(source, 0.97, shared[seed]), seed) for seed in (20, 19, 18)]
    head = [run(value_of(source, 0.97, shared[0]))]
    alone, more = (
        judge(head, [stored[-2]], stored=stored, further=some)
        for some in (further, [run(9.0, 999), *further])
    )
    assert "by 3 runs against 21 of main, paired by seed" in row(alone).why
    assert row(more).why == row(alone).why


@pytest.mark.parametrize("kept", [0.97, 0.0])
@pytest.mark.parametrize(("shift", "wrong"), [(0, "worse"), (1, "not-worse")])
def test_pairs_err_seldom_even_where_the_change_ends_the_correlation(kept, shift, wrong):
    """A single stray random number makes every run of the head a stranger to main's."""
    source = random.Random(f"{kept} {shift}")
    found = [spent(source, rho=0.97, kept=kept, shift=shift) for _ in range(REPETITIONS)]
    paired = [(verdict.word, runs) for verdict, runs in found if verdict.partners]
    assert len(paired) > REPETITIONS / 2
    errors = sum(word == wrong for word, _ in paired) / len(paired)
    assert errors <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(paired))
    if kept:
        assert sum(runs for _, runs in paired) / len(paired) < 5


def learnt(steps, seed=0):
    values = [2.0 - seed / 100, *[0.5] * (steps - 1)]
    return record(curve(values, seed=seed), seed=seed, tier="overfit")


def test_a_curve_is_decided_by_the_steps_that_learning_took_and_never_gates():
    stored = [learnt(40 + seed % 5, seed) for seed in range(20)]
    for steps, state in ((80, "warning"), (38, "same")):
        further = [learnt(steps + seed % 2, seed) for seed in range(21, 27)]
        verdict = judge([learnt(steps, 20)], stored[:1], stored=stored, further=further)
        assert row(verdict, "curve").state == state
        assert "steps to learn the batch; " in row(verdict, "curve").why
        assert verdict.passed


def rates(shift, *, metrics=1, moved=0, most=8):
    """Return how often a change is worse, how often it is not, and the runs spent on average.

    ``moved`` is by how much main got worse 20 runs ago.
    """
    source = random.Random(f"{shift} {metrics} {moved}")

    def draw(seed, level):
        names = (f"m{n}" for n in range(metrics))
        return record(*(metric(name, source.gauss(-level, 1)) for name in names), seed=seed)

    ends, spent = [], 0
    for _ in range(REPETITIONS):
        before = [draw(seed, 0) for seed in range(20 if moved else 0)]
        stored = [*before, *(draw(seed, moved) for seed in range(len(before), len(before) + 20))]
        head, further = [draw(0, moved + shift)], []
        while True:
            verdict = judge(head, stored[-1:], stored=stored, further=further)
            wanted = verdict.wanted.get("unit", 0)
            if not wanted or 1 + len(further) + wanted > most:
                break
            further += [draw(len(further) + 1 + n, moved + shift) for n in range(wanted)]
        spent += 1 + len(further)
        ends.append(verdict.word)
    share = {word: ends.count(word) / REPETITIONS for word in ("worse", "not-worse")}
    return share["worse"], share["not-worse"], spent / REPETITIONS


@pytest.mark.parametrize(("metrics", "moved"), [(1, 0), (5, 0), (1, 2)])
def test_a_change_without_effect_is_seldom_worse(metrics, moved):
    """Whatever the number of metrics, and although main got worse some time ago."""
    worse, _, _ = rates(0, metrics=metrics, moved=moved)
    assert worse <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / REPETITIONS)


def test_a_loss_of_one_sigma_is_seldom_called_no_loss():
    _, missed, _ = rates(1)
    assert missed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / REPETITIONS)


@pytest.mark.parametrize("shift", [0, 2])
def test_the_documented_budget_buys_what_the_documentation_says(shift):
    cells = next(
        row for row in table("docs/configuration.md", "| `max-seeds` | no") if row[0] == "8"
    )
    share, runs = cells[1 + shift].replace(")", "").split(" % (")
    worse, not_worse, spent = rates(shift)
    assert worse + not_worse == pytest.approx(float(share) / 100, abs=0.12)
    assert spent == pytest.approx(float(runs), abs=0.6)
