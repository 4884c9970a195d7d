from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchproof.errors import HistoryError
from torchproof.history import names
from torchproof.record import Record, Source


NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)

times = st.datetimes(datetime(1970, 1, 1), datetime(2026, 11, 23, 14, 0), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone
sources = st.builds(
    Source,
    repository=st.just("owner/project"),
    commit=st.just("f" * 40),
    tested=st.from_regex(r"[0-9a-f]{40}", fullmatch=True),
    branch=st.just("main"),
    event=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    run_id=st.from_regex(r"[0-9A-Za-z_.-]{1,64}", fullmatch=True),
    attempt=st.integers(0, 10**6),
)
records = st.builds(
    Record,
    tier=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    state=st.just("complete"),
    started=times.map(datetime.isoformat),
    seed=st.integers(-(2**63), 2**64),
    source=sources,
)


@given(records)
def test_a_name_says_again_what_the_record_said(record):
    name = names.name_of(record, now=NOW)
    assert names.parse(name.path) == name
    assert (name.run_id, name.attempt) == (record.source.run_id, record.source.attempt)
    assert (name.tier, name.seed, name.event) == (record.tier, record.seed, record.source.event)
    assert name.time == datetime.fromisoformat(record.started).replace(microsecond=0)
    assert name.commit == record.source.tested[:12]
    assert names.describes(name, record)


@given(records, records)
def test_two_records_share_a_name_only_if_they_share_every_fact(one, other):
    first, second = names.name_of(one, now=NOW), names.name_of(other, now=NOW)
    assert (first.path == second.path) == (first == second)


@given(st.text())
def test_any_other_path_is_refused(path):
    assert names.parse(path) is None
    assert names.parse(f"runs/{path}.json") is None


def test_the_path_reads_as_documented(record):
    name = names.name_of(record("ab" * 20, run_id="42", seed=3), now=NOW)
    assert name.path == "runs/2026/11/23/130000Z-42-1-unit-s3-push-abababababab.json"


@pytest.mark.parametrize(
    "path",
    [
        "runs/2026/02/30/130000Z-42-1-unit-s3-push-abababababab.json",
        "runs/2026/11/23/130000Z-4-2-1-unit-s3-push-abababababab.json",
        "runs/2026/11/23/130000Z-42-1-unit-s3-push-abababababab.1.json",
        "runs/2026/11/23/130000Z-42-01-unit-s3-push-abababababab.json",
        "runs/2026/11/23/130000Z-%34%32-1-unit-s3-push-abababababab.json",
        "runs/2026/11/23/../130000Z-42-1-unit-s3-push-abababababab.json",
    ],
)
def test_there_is_one_spelling_of_a_path(path):
    assert names.parse(path) is None


@pytest.mark.parametrize(
    "started", ["", "yesterday", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "1969-12-31"]
)
def test_a_start_that_cannot_be_is_replaced_by_now(record, started):
    assert names.name_of(record(at=started), now=NOW).time == NOW


def test_a_clock_that_is_a_little_fast_is_believed(record):
    started = NOW + timedelta(minutes=5)
    assert names.name_of(record(at=started.isoformat()), now=NOW).time == started


def test_a_record_of_another_run_is_not_what_the_name_describes(record):
    name = names.name_of(record(run_id="42"), now=NOW)
    assert not names.describes(name, record(run_id="43"))
    assert not names.describes(name, record("b" * 40, run_id="42"))


def test_a_second_record_under_one_name_gets_a_suffix(record):
    name = names.name_of(record(), now=NOW)
    there = {name.path: "blob 1"}
    assert names.free_path(name, "blob 1", there) is None
    second = names.free_path(name, "blob 2", there)
    assert second == name.path.replace(".json", ".2.json")
    assert names.free_path(name, "blob 2", {**there, second: "blob 2"}) is None
    assert names.parse(second).copy == 2


def test_an_inbox_is_a_ref_that_git_takes(record, remote):
    for run_id in ("42", "..", "x.lock", "-", "a.b"):
        remote("check-ref-format", names.inbox_ref(names.name_of(record(run_id=run_id), now=NOW)))


def test_a_record_without_a_source_has_no_name():
    with pytest.raises(HistoryError, match="source"):
        names.name_of(Record(tier="unit", state="complete"), now=NOW)
