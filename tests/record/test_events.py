"""The writer of events, and what a reader refuses."""

from __future__ import annotations

import json
import os

import pytest

from torchproof.errors import RecordError
from torchproof.record import EventWriter
from torchproof.record.events import MAX_TEXT, read


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_an_event_is_one_line_of_ascii_json(tmp_path):
    EventWriter(tmp_path / "events").write("note", message="1 µs\nfaster")
    assert (tmp_path / "events").read_bytes() == (
        b'{"event": "note", "message": "1 \\u00b5s\\nfaster"}\n'
    )


def test_each_event_is_on_disk_before_the_next_statement(tmp_path):
    path = tmp_path / "events"
    if os.fork() == 0:
        EventWriter(path).write("test-start", test="t")
        os._exit(9)
    os.wait()
    assert lines(path) == [{"event": "test-start", "test": "t"}]


def test_two_writers_share_a_file(tmp_path):
    path = tmp_path / "events"
    first, second = EventWriter(path), EventWriter(path)
    first.write("test-start", test="a")
    second.write("test-start", test="b")
    first.write("test-end", test="a", outcome="passed")
    assert [line["test"] for line in lines(path)] == ["a", "b", "a"]


def test_numbers_that_json_has_no_word_for_are_spelled(tmp_path):
    path = tmp_path / "events"
    EventWriter(path).write(
        "curve", test="t", name="loss", values=[1.0, float("nan"), -float("inf")]
    )
    assert lines(path)[0]["values"] == [1.0, "nan", "-inf"]


def test_text_that_json_cannot_hold_is_mended_and_long_text_is_cut(tmp_path):
    path = tmp_path / "events"
    EventWriter(path).write("note", message="a\x00b\udc80" + "c" * 9000)
    message = read(path.read_bytes())["message"]
    assert message.startswith("a\ufffdb\ufffdccc")
    assert len(message) == MAX_TEXT


@pytest.mark.parametrize(
    "event",
    [
        {"event": "applause"},
        {"event": ["note"]},
        ["note"],
        {"event": "note"},
        {"event": "note", "message": "m", "colour": "red"},
        {"event": "test-end", "test": "t", "outcome": "won"},
        {"event": "test-end", "test": "t", "outcome": "passed", "seconds": -1},
        {"event": "test-end", "test": "t", "outcome": "passed", "attempts": True},
        {"event": "test-start", "test": ""},
        {"event": "session-start", "tier": "no tier", "seed": 0},
        {"event": "metric", "test": "t", "name": "n", "value": 1, "unit": "m" * 65},
        {"event": "metric", "test": "t", "name": "n", "value": 1, "better": "bigger"},
        {"event": "collected", "tests": ["a", 1]},
        {"event": "finding", "test": "t", "rule": "r", "severity": "error", "message": "m",
         "evidence": {"a": [[[[[1]]]]]}},
    ],
)  # fmt: skip
def test_what_a_record_could_not_hold_is_refused(event):
    with pytest.raises(RecordError):
        read(json.dumps(event).encode())
