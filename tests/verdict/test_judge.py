"""The whole verdict: order, counts and the one word."""

from hypothesis import given
from hypothesis import strategies as st
from tests.samples import broken_pull_request, finding, leak, metric, outcome, record

from torchproof.verdict import STATES, judge


ends = st.sampled_from(["passed", "failed", "error", "skipped", "xfailed", "not-run", "crashed"])
items = st.one_of(
    st.builds(metric, value=st.floats(), tolerance=st.sampled_from([None, 0.1, "2%", "x"])),
    st.builds(finding, severity=st.sampled_from(["error", "warning", "info"])),
    st.builds(leak),
)
records = st.builds(
    lambda tests, others, seed: record(
        *(outcome(f"test_{name}", end) for name, end in tests.items()), *others, seed=seed
    ),
    st.dictionaries(st.sampled_from("abcd"), ends),
    st.lists(items, max_size=4),
    st.integers(0, 2),
)


def test_rows_come_worst_first():
    head, base = broken_pull_request()
    order = [STATES.index(row.state) for row in judge(head, base).rows]
    assert order == sorted(order)


def test_a_run_against_itself_changes_nothing():
    _, base = broken_pull_request()
    verdict = judge(base, base)
    assert verdict.passed
    assert verdict.word == "not-worse"
    assert not [row for row in verdict.rows if row.changed]


def test_the_one_word_is_the_worst():
    ok, bad = record(metric(tolerance=0.1)), record(metric(value=0.5, tolerance=0.1))
    assert judge([bad], [ok]).word == "worse"
    assert judge([record(outcome("test_a", "failed"))], [ok]).word == "failed"
    assert judge([ok], []).word == "undecided", "nothing was compared"


@given(head=st.lists(records, max_size=3), base=st.lists(records, max_size=3))
def test_a_verdict_counts_each_row_and_passes_only_what_passed(head, base):
    verdict = judge(head, base)
    assert sum(verdict.counts.values()) == len(verdict.rows)
    assert verdict == judge(head, base)
    if any(not run.passed for run in head):
        assert not verdict.passed


def test_a_run_is_compared_with_runs_of_its_own_seed():
    def run(seed, accuracy):
        measured = metric(value=accuracy, tolerance=0.01)
        return record(measured, seed=seed)

    base = [run(0, 0.93), run(1, 0.99), run(2, 0.99)]
    assert judge([run(0, 0.93)], base).passed
    assert not judge([run(5, 0.93)], base).passed
