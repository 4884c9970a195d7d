"""Names in tables: short, and never the same for two rows."""

from hypothesis import given
from hypothesis import strategies as st
from tests.samples import metric, outcome, record

from torchproof.report.labels import label, labels
from torchproof.report.phrase import plain
from torchproof.verdict import judge


def shown(*items):
    rows = judge([record(*items)], []).rows
    names = labels(rows)
    return [plain(label(row, names)) for row in rows]


def test_a_test_goes_by_its_own_name_where_that_is_unique():
    assert shown(outcome("a/test_x.py::test_one"), outcome("b/test_y.py::TestTwo::test_two")) == [
        "test_one",
        "TestTwo::test_two",
    ]


def test_a_test_that_shares_its_name_is_called_with_its_file():
    assert shown(outcome("a/test_x.py::test_one"), outcome("a/test_y.py::test_one")) == [
        "test_x.py::test_one",
        "test_y.py::test_one",
    ]


def test_a_metric_that_two_tests_record_is_called_with_its_test():
    assert shown(metric("loss", test="test_a"), metric("loss", test="test_b"))[:2] == [
        "test_a",
        "test_b",
    ]
    assert shown(metric("loss", test="test_a"), metric("loss", test="test_b"))[2:] == [
        "loss in test_a",
        "loss in test_b",
    ]


ids = st.lists(
    st.sampled_from(["a/t.py", "b/t.py", "c.py"]).flatmap(
        lambda file: st.sampled_from(["", "::x", "::y"]).map(lambda name: file + name)
    ),
    unique=True,
    min_size=1,
)


@given(ids)
def test_no_two_tests_have_the_same_name(tests):
    names = labels(judge([record(*(outcome(f"{test}::z") for test in tests))], []).rows)
    assert len(set(names.tests.values())) == len(tests)
