"""The record of a run: one outcome a test, whatever the test does and whatever plugin runs it."""

from __future__ import annotations

import json

import pytest


KINDS = """
    import pytest

    def test_pass(): pass
    def test_fail():
        assert 1 == 2, "one is not two"
    @pytest.mark.skip(reason="no time")
    def test_skip(): pass
    @pytest.mark.xfail(reason="known")
    def test_xfail(): assert False
    @pytest.mark.xfail(strict=True, reason="known")
    def test_strict(): pass
    @pytest.mark.xfail(reason="known")
    def test_lax(): pass
    @pytest.fixture
    def broken(): raise OSError("no disk")
    def test_setup(broken): pass
    @pytest.fixture
    def leaky():
        yield
        raise OSError("no disk")
    def test_teardown(leaky): pass
"""
EXPECTED = {
    "test_pass": "passed",
    "test_fail": "failed",
    "test_skip": "skipped",
    "test_xfail": "xfailed",
    "test_strict": "xpassed",
    "test_lax": "passed",
    "test_setup": "error",
    "test_teardown": "error",
}


def by_name(record):
    return {outcome.test.rpartition("::")[2]: outcome for outcome in record.outcomes}


def outcomes(record):
    return {name: outcome.outcome for name, outcome in by_name(record).items()}


def test_every_kind_of_outcome_is_told_with_place_and_reason(suite):
    suite.file("test_kinds.py", KINDS)
    record = suite.record("--torchproof-seed=5")
    assert outcomes(record) == EXPECTED
    assert (record.state, record.exit_code, record.seed, record.tier) == ("complete", 1, 5, "none")
    failed = by_name(record)["test_fail"]
    assert failed.location == "test_kinds.py:5"
    assert failed.message.splitlines()[0] == "AssertionError: one is not two"
    assert by_name(record)["test_skip"].message.endswith("no time")
    assert by_name(record)["test_setup"].message == "OSError: no disk"


def test_the_record_says_what_the_results_depend_on(suite):
    suite.file("test_it.py", "def test_it(): pass")
    facts = suite.record().fingerprint
    assert set(facts["environment"]) == {"python", "torch", "pytest", "platform", "packages"}
    assert facts["hardware"]["device"] in ("cpu", "cuda")
    assert [path.name for path in (suite.path / "out").iterdir()] == ["run.json"]


def test_events_alone_are_what_the_sealed_run_asks_for(suite):
    suite.file("test_it.py", "def test_it(proof): proof.metric('m', 1)")
    suite.run("--torchproof-events=events", "--torchproof-tier=unit")
    events = [json.loads(line) for line in (suite.path / "events").read_text().splitlines()]
    assert [event["event"] for event in events] == [
        "session-start",
        "collected",
        "test-start",
        "metric",
        "test-end",
        "session-end",
    ]


def test_xdist_workers_share_the_file(suite):
    suite.file("test_kinds.py", KINDS)
    record = suite.record("-n2", apart=True)
    assert outcomes(record) == EXPECTED
    assert (record.state, record.exit_code) == ("complete", 1)


def test_ids_are_the_same_when_xdist_groups_tests(suite):
    text = """
        import pytest
        pytestmark = pytest.mark.xdist_group("a")
        @pytest.mark.parametrize("mail", ["me@home"])
        def test_mail(mail, proof): proof.metric("m", 1)
        def test_plain(): pass
    """
    suite.file("test_it.py", text)
    record = suite.record("-n1", "--dist=loadgroup", apart=True)
    assert outcomes(record) == {"test_mail[me@home]": "passed", "test_plain": "passed"}
    assert [metric.test for metric in record.metrics] == ["test_it.py::test_mail[me@home]"]


def test_a_worker_that_dies_leaves_its_test_crashed_and_the_others_run(suite):
    suite.file("test_it.py", "import os\ndef test_die(): os._exit(3)\ndef test_live(): pass\n")
    record = suite.record("-n2", apart=True)
    assert outcomes(record) == {"test_die": "crashed", "test_live": "passed"}
    assert record.state == "complete"


def test_reruns_are_counted_and_only_the_last_attempt_counts(suite):
    text = """
        count = []
        def test_flaky(proof):
            count.append(1)
            proof.metric("attempt", len(count))
            assert len(count) == 3
    """
    suite.file("test_it.py", text)
    record = suite.record("--reruns=2", apart=True)
    assert [(item.outcome, item.attempts) for item in record.outcomes] == [("passed", 3)]
    assert [metric.value for metric in record.metrics] == [3]


def test_a_failed_subtest_fails_its_test_which_counts_once(suite):
    text = """
        import unittest
        class TestIt(unittest.TestCase):
            def test_sub(self):
                for number in range(3):
                    with self.subTest(number=number):
                        assert number != 1, "one is odd"
            def test_fine(self):
                with self.subTest("a"): pass
    """
    suite.file("test_it.py", text)
    assert outcomes(suite.record()) == {"test_sub": "failed", "test_fine": "passed"}


def test_a_file_that_cannot_be_collected_is_an_error_in_the_record(suite):
    suite.file("test_bad.py", "import no_such_module_anywhere\n")
    suite.file("test_good.py", "def test_good(): pass\n")
    record = suite.record()
    assert (record.state, record.exit_code) == ("complete", 2)
    assert [(item.test, item.outcome) for item in record.outcomes] == [
        ("test_bad.py", "error"),
        ("test_good.py::test_good", "not-run"),
    ]
    assert "No module named 'no_such_module_anywhere'" in record.outcomes[0].message


def test_a_syntax_error_keeps_its_caret_under_the_place(suite):
    suite.file("test_bad.py", "def test_x(:\n")
    message = suite.record().outcomes[0].message
    place, code, caret, sentence = message.splitlines()
    assert 'test_bad.py", line 1' in place
    assert code[caret.index("^")] == ":"
    assert sentence.startswith("SyntaxError: ")


def test_an_expression_that_selects_nothing_collects_nothing(suite):
    suite.file("test_it.py", "def test_it(): pass\n")
    assert suite.record("-m", "not (gpu").outcomes == ()


def test_collection_errors_under_xdist_are_told_once(suite):
    suite.file("test_bad.py", "import no_such_module_anywhere\n")
    record = suite.record("-n2", apart=True)
    assert [(item.test, item.outcome) for item in record.outcomes] == [("test_bad.py", "error")]


def test_tests_after_the_first_failure_are_not_run_under_x(suite):
    suite.file("test_it.py", "def test_a(): assert 0\ndef test_b(): pass\n")
    assert outcomes(suite.record("-x")) == {"test_a": "failed", "test_b": "not-run"}


def test_an_interrupted_test_is_an_error_not_a_crash(suite):
    suite.file("test_it.py", "def test_a(): raise KeyboardInterrupt\ndef test_b(): pass\n")
    record = suite.record(apart=True)
    assert outcomes(record) == {"test_a": "error", "test_b": "not-run"}
    assert (record.state, record.exit_code) == ("complete", 2)


def test_without_a_terminal_the_record_is_the_same(suite):
    suite.file("test_kinds.py", KINDS)
    assert outcomes(suite.record("-p", "no:terminal")) == EXPECTED


def test_an_old_record_does_not_outlive_a_run_that_never_starts(suite):
    suite.file("out/run.json", "{}")
    suite.file("conftest.py", "def pytest_configure(): raise SystemExit(3)\n")
    record = suite.record(apart=True)
    assert record.state == "crashed"


def test_a_path_that_cannot_be_written_is_one_sentence(suite):
    suite.file("file", "")
    result = suite.run("--torchproof-record=file/run.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: torchproof: *file*: cannot write: *"])
