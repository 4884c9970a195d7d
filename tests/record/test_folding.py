"""Events fold into a record, and into a valid one whatever they are."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchproof.record import Example, dumps, fold, fold_file, how_it_died, loads
from torchproof.record.events import _OPTIONAL, _REQUIRED


def events(*items):
    return [json.dumps({"event": kind, **fields}).encode() for kind, fields in items]


START = ("session-start", {"tier": "unit", "seed": 3})
PASS = [("test-start", {"test": "a"}), ("test-end", {"test": "a", "outcome": "passed"})]


def end(code=0):
    return ("session-end", {"exit_code": code, "seconds": 1.5})


def test_a_session_that_closed_itself_is_complete():
    record = fold(events(START, ("collected", {"tests": ["a"]}), *PASS, end()))
    assert (record.tier, record.seed, record.state, record.exit_code) == ("unit", 3, "complete", 0)
    assert [(item.test, item.outcome) for item in record.outcomes] == [("a", "passed")]
    assert record.cost.seconds == 1.5
    assert record.passed


def test_a_process_that_died_is_told_with_the_test_it_ran():
    record = fold(events(START, ("test-start", {"test": "b"})), exit_code=-11)
    assert record.state == "crashed"
    assert record.reason == "the test process was killed by SIGSEGV while running b"
    assert [item.outcome for item in record.outcomes] == ["crashed"]


def test_collected_tests_that_never_started_are_not_run():
    collected = [("collected", {"tests": ["a", "b"]}), ("collected", {"tests": ["c"]})]
    record = fold(events(START, *collected, *PASS, end(1)))
    assert {item.test: item.outcome for item in record.outcomes} == {
        "a": "passed",
        "b": "not-run",
        "c": "not-run",
    }


def test_a_rerun_discards_what_the_earlier_attempt_recorded():
    metric = [("metric", {"test": "a", "name": "m", "value": value}) for value in (1.0, 2.0)]
    last = ("test-end", {"test": "a", "outcome": "passed", "attempts": 2})
    record = fold(events(START, PASS[0], metric[0], PASS[1], PASS[0], metric[1], last, end()))
    assert [item.value for item in record.metrics] == [2.0]
    assert [item.attempts for item in record.outcomes] == [2]


def test_an_exit_code_that_disagrees_with_the_session_is_a_crash():
    record = fold(events(START, *PASS, end()), exit_code=-9)
    assert record.state == "crashed"
    assert "SIGKILL (out of memory, or killed from outside)" in record.reason


def test_lines_that_are_no_events_are_counted_and_left_out():
    record = fold([b"junk\n", b"\xff", *events(START, end()), b'{"event":"note","mess'])
    assert record.notes == ("3 event line(s) could not be read",)


def test_a_file_that_never_came_to_be_is_a_run_that_never_started(tmp_path):
    record = fold_file(tmp_path / "none", tier="unit", exit_code=4)
    assert record.reason == "the test process wrote no events: it exited with code 4"
    assert loads(dumps(record)) == record


def test_events_behind_a_link_are_not_read(tmp_path):
    (tmp_path / "secret").write_bytes(b"".join(events(START)))
    (tmp_path / "events").symlink_to(tmp_path / "secret")
    assert fold_file(tmp_path / "events").tier == "none"


def test_events_in_a_pipe_without_a_writer_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "events")
    assert fold_file(tmp_path / "events").state == "crashed"


def test_too_many_outcomes_keep_those_that_failed():
    tests = [f"t{number}" for number in range(10_050)]
    failed = ("test-end", {"test": "t10049", "outcome": "failed"})
    chunks = [("collected", {"tests": tests[at : at + 500]}) for at in range(0, len(tests), 500)]
    passed = [("test-end", {"test": test, "outcome": "passed"}) for test in tests[:-1]]
    record = fold(events(START, *chunks, *passed, failed, end(1)))
    assert record.outcomes[0].test == "t10049"
    assert record.notes == ("50 outcomes after the first 10000 were left out",)
    assert loads(dumps(record)) == record


@pytest.mark.parametrize(
    ("code", "words"),
    [(3, "exited with code 3"), (-6, "was killed by SIGABRT"), (139, "was killed by SIGSEGV")],
)
def test_an_exit_code_is_said_in_words(code, words):
    assert how_it_died(code) == words


NAMES = sorted(
    {name for table in (_REQUIRED, _OPTIONAL) for each in table.values() for name in each}
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=80),
    st.sampled_from(["passed", "error", "lower", "unit", "nan", "2%"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def plausible(draw):
    """One event whose fields mostly are right."""
    kind = draw(st.sampled_from(sorted(_REQUIRED)))
    fields = {name: draw(VALUES) for name in _REQUIRED[kind]}
    for name, types in {**_REQUIRED[kind], **_OPTIONAL.get(kind, {})}.items():
        if draw(st.booleans()):
            fields[name] = draw(right(name, types))
    if draw(st.integers(0, 9)) == 0:
        fields[draw(st.sampled_from(NAMES))] = draw(VALUES)
    return json.dumps({"event": kind, **fields}, allow_nan=True).encode()


def right(name, types):
    options = {
        str: st.one_of(st.text(max_size=100), st.sampled_from(["t", "unit", "passed", "error"])),
        int: st.integers(-2, 10**12),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        list: st.lists(st.one_of(st.floats(-1, 1), st.text(max_size=4)), max_size=4),
        dict: st.dictionaries(st.text(max_size=9), VALUES, max_size=4),
        type(None): st.none(),
    }
    return st.one_of(*(options[kind] for kind in (types if isinstance(types, tuple) else (types,))))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(plausible(), st.binary(max_size=40)), max_size=12),
    st.one_of(st.none(), st.integers(-70, 300)),
)
def test_whatever_was_written_folds_into_a_record_that_can_be_read(lines, exit_code):
    record = fold(lines, exit_code=exit_code)
    again = loads(dumps(record))
    assert dumps(again) == dumps(record)


def test_what_a_test_finds_out_joins_what_the_session_knew():
    start = (START[0], {**START[1], "fingerprint": {"data": {"a": "1"}}})
    data = ("fingerprint", {"kind": "data", "name": "b", "value": "2"})
    training = ("fingerprint", {"kind": "training", "name": "t", "value": "3"})
    record = fold(events(start, data, training, end()))
    assert record.fingerprint == {"data": {"a": "1", "b": "2"}, "training": {"t": "3"}}


def test_the_examples_a_model_fails_on_travel_with_the_record():
    words = {"shown": "not good", "expected": "negative", "got": "positive"}
    record = fold(events(START, ("example", {"test": "a", "name": "negation", **words}), end()))
    assert record.examples == (Example("a", "negation", **words),)
    assert loads(dumps(record)) == record


def test_a_record_from_before_there_were_examples_can_be_read():
    document = json.loads(dumps(fold([])))
    del document["examples"]
    assert loads(json.dumps(document).encode()).examples == ()
