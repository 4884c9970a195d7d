from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from torchproof.history import archive


DAY = date(2026, 11, 20)

contents = st.dictionaries(
    st.from_regex(r"runs/[a-z0-9/-]{1,20}\.json", fullmatch=True),
    st.from_regex(rb'\{"text":"[ -!#-\[\]-~]{0,30}"\}\n', fullmatch=True),
    min_size=1,
)


@given(contents, st.integers(1, 300))
def test_records_come_out_as_they_went_in(records, limit):
    files = archive.pack(DAY, records, limit=limit)
    assert dict(line for data in files.values() for line in archive.unpack(data)) == records


@given(contents, st.integers(1, 300))
def test_a_file_exceeds_the_limit_only_for_a_single_record(records, limit):
    for data in archive.pack(DAY, records, limit=limit).values():
        assert len(data) <= limit or data.count(b"\n") == 1


def test_a_day_too_large_for_one_file_gets_more():
    records = {f"runs/{number}.json": b'{"n":1}\n' for number in range(3)}
    assert list(archive.pack(DAY, records, limit=50)) == [
        "archive/2026/11/20.jsonl",
        "archive/2026/11/20.1.jsonl",
        "archive/2026/11/20.2.jsonl",
    ]


def test_the_next_file_never_has_the_number_of_one_that_is_there():
    assert archive.next_part(DAY, []) == 0
    assert archive.next_part(DAY, ["archive/2026/11/20.jsonl", "archive/2026/11/19.7.jsonl"]) == 1
    assert archive.next_part(DAY, ["archive/2026/11/20.4.jsonl"]) == 5


def test_a_line_that_is_no_record_has_no_name():
    assert list(archive.unpack(b'nonsense\n{"name":"a","record":{}}\n')) == [
        ("", b"nonsense"),
        ("a", b"{}\n"),
    ]


def test_only_archives_have_a_day():
    assert archive.day_of("archive/2026/11/20.3.jsonl") == DAY
    assert archive.day_of("archive/2026/13/20.jsonl") is None
    assert archive.day_of("runs/2026/11/20.jsonl") is None
