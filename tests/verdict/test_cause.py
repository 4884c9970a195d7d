"""Because of what: the differences, likeliest cause first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import CPU, ENVIRONMENT, metric, record

from torchproof.verdict.cause import cause, is_code


def run(seed=0, **kinds):
    fingerprint = {"environment": ENVIRONMENT, "hardware": CPU, **kinds}
    return record(metric(), fingerprint=fingerprint, seed=seed)


def kinds(head, base, changed=()):
    return [found.kind for found in cause([head], [base], changed)]


def test_equal_runs_of_equal_code_have_no_cause():
    assert cause([run()], [run()], ()) == ()


def test_each_difference_is_named_with_both_sides():
    head, base = run(data={"mnist": "b2"}), run(data={"mnist": "a1"})
    (found,) = cause([head], [base], ())
    assert (found.kind, found.items) == ("data", ("mnist a1 → b2",))


def test_a_package_that_is_new_or_gone_is_named():
    head, base = (
        run(environment={"torch": "2", "a": "1"}),
        run(environment={"torch": "2", "b": "1"}),
    )
    (found,) = cause([head], [base], None)
    assert set(found.items) == {"a none → 1", "b 1 → none"}


def test_what_reaches_training_more_directly_comes_first():
    head = run(
        7,
        data={"mnist": "b"},
        architecture={"net": "2"},
        environment={"numpy": "2"},
        hardware={"device": "cuda"},
    )
    base = run(
        data={"mnist": "a"},
        architecture={"net": "1"},
        environment={"numpy": "1"},
        hardware={"device": "cpu"},
    )
    expected = ["architecture", "data", "code", "environment", "hardware", "seed"]
    assert kinds(head, base, ["train.py"]) == expected


def test_tests_and_documents_are_the_last_to_blame():
    head, base = run(environment={"numpy": "2"}), run(environment={"numpy": "1"})
    assert kinds(head, base, ["README.md", "tests/test_net.py"]) == ["environment", "code"]
    assert kinds(head, base, ["README.md", "net.py"]) == ["code", "environment"]


def test_files_that_tell_most_are_named_first():
    (found,) = cause([run()], [run()], ["README.md", "tests/test_a.py", "src/net.py"])
    assert found.items == ("src/net.py", "README.md", "tests/test_a.py")
    assert found.proven is None


def test_equal_trajectories_prove_that_code_does_not_reach_training():
    same = {"net": "abc"}
    head = run(training=same, environment={"numpy": "2"})
    base = run(training=same, environment={"numpy": "1"})
    found = cause([head], [base], ["train.py"])
    assert [each.kind for each in found] == ["environment", "code"]
    assert found[1].proven is False


def test_other_trajectories_in_the_same_place_prove_that_it_does():
    head, base = run(training={"net": "abc"}), run(training={"net": "def"})
    (found,) = cause([head], [base], ["train.py"])
    assert found.proven is True
    moved = run(training={"net": "abc"}, data={"mnist": "b"})
    found = cause([moved], [run(training={"net": "def"}, data={"mnist": "a"})], ["train.py"])
    assert [each.proven for each in found if each.kind == "code"] == [None]


def test_seeds_count_only_where_both_sides_share_none():
    assert kinds(run(3), run(0)) == ["seed"]
    assert cause([run(0), run(3)], [run(0)], ()) == ()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("src/net.py", True),
        ("kernels/add.cu", True),
        ("tests/helpers.py", False),
        ("pkg/net_test.py", False),
        ("conftest.py", False),
        ("docs/conf.py", False),
        ("README.md", False),
        (".github/workflows/ci.yml", False),
    ],
)
def test_code_is_what_may_change_training(path, code):
    assert is_code(path) is code


facts = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)


@given(now=facts, before=facts, paths=st.lists(st.text(max_size=9), max_size=4))
def test_swapping_the_sides_names_the_same_kinds(now, before, paths):
    head, base = run(data=now), run(data=before)
    assert kinds(head, base, paths) == kinds(base, head, paths)
