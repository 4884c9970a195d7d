"""A record as a file: what is written can be read, and what is wrong is refused in one sentence."""

from __future__ import annotations

import json
import math

import pytest

from torchproof.errors import RecordError
from torchproof.record import Curve, Finding, Metric, Outcome, Record, Source, dumps, load, loads
from torchproof.record.document import MAX_BYTES


SOURCE = Source("o/r", "a" * 40, "b" * 40, "main", "push", "17")
RECORD = Record(
    tier="unit",
    state="complete",
    exit_code=0,
    outcomes=(Outcome("t", "passed", seconds=0.5, location="t.py:3"),),
    findings=(Finding("t", "broadcast", "warning", "m", evidence={"shape": [8, 1]}),),
    metrics=(Metric("t", "loss", float("inf"), better="lower", tolerance="2%"),),
    curves=(Curve("t", "loss", (1.0, float("-inf"))),),
    source=SOURCE,
)


def changed(**fields):
    return json.dumps({**json.loads(dumps(RECORD)), **fields}).encode()


def test_what_is_written_can_be_read(tmp_path):
    (tmp_path / "r.json").write_bytes(dumps(RECORD))
    assert load(tmp_path / "r.json") == RECORD


def test_equal_records_are_equal_bytes():
    assert dumps(loads(dumps(RECORD))) == dumps(RECORD)


def test_a_number_that_is_not_finite_is_spelled_and_comes_back():
    assert b'"value":"inf"' in dumps(RECORD)
    assert math.isinf(loads(dumps(RECORD)).metrics[0].value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "the text is not JSON"),
        (b"\xff{}", "the text is not UTF-8"),
        (b"[" * 100_000, "nested deeper than"),
        (b'{"schema": 1, "schema": 1}', "an object has the same key twice"),
        (b'{"schema": NaN}', "NaN is not JSON"),
        (b'{"schema": 1e999}', "is too large"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "more than 40 digits"),
        (b'{"schema": "\\ud800"}', "half a character"),
        (b" " * (MAX_BYTES + 1), f"more than {MAX_BYTES}"),
        (b"[]", "the document is no run record"),
        (b'{"name": "digits"}', "the document is no run record"),
        (b'{"schema": 2}', "its schema is 2, this torchproof reads 1"),
        (b'{"schema": true}', "its schema is True"),
        (changed(seed="0"), "seed breaks the schema"),
        (changed(colour="red"), "the document breaks the schema"),
        (changed(tier="no tier"), "tier breaks the schema"),
    ],
)
def test_a_document_that_is_wrong_is_refused_in_one_sentence(data, sentence):
    with pytest.raises(RecordError, match=sentence) as caught:
        loads(data, where="r.json")
    assert str(caught.value).startswith("r.json: ")
    assert caught.value.remedy


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RecordError, match="cannot be read"):
        load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("record", "passed"),
    [
        (RECORD, True),
        (Record("unit", "crashed"), False),
        (Record("unit", "complete", exit_code=1), False),
        (Record("unit", "complete", outcomes=(Outcome("t", "failed"),)), False),
        (Record("unit", "complete", findings=(Finding("t", "r", "error", "m"),)), False),
        (Record("unit", "complete", findings=(Finding("t", "r", "error", "m", waived="w"),)), True),
    ],
)
def test_a_run_passes_only_if_it_is_complete_and_nothing_failed(record, passed):
    assert record.passed is passed
