"""What the history costs on the line, counted between real git processes."""

from datetime import UTC, date, datetime, timedelta

import pytest

from torchproof.history.compaction import compact


@pytest.fixture
def three_thousand(history, record, remote):
    """A history of 3,000 records, 30 a day."""
    remote.line(1)
    start = datetime(2026, 8, 15, tzinfo=UTC)
    records = [
        record(
            f"{number:040x}"[::-1],
            at=(start + timedelta(minutes=48 * number)).isoformat(),
            run_id=str(10_000_000_000 + 7919 * number),
            value=float(number),
        )
        for number in range(3000)
    ]
    history().append(records)
    return records


def test_loose_or_archived_an_append_and_the_last_200_stay_cheap(
    three_thousand, daemon, history, record
):
    check(
        daemon, history, record(at="2026-11-23T13:00:00Z", run_id="1", value=3000.0), limit=400_000
    )
    compact(history(), date(2026, 11, 23))
    check(
        daemon, history, record(at="2026-11-23T13:00:01Z", run_id="2", value=3001.0), limit=100_000
    )


def check(daemon, history, new, *, limit):
    daemon.bytes = daemon.connections = 0
    history(daemon.url).append([new])
    assert daemon.bytes < limit
    assert daemon.connections == 3

    daemon.bytes = daemon.connections = 0
    values = [metric.value for _, metric in history(daemon.url).last("val/accuracy", 200)]
    end = int(new.metrics[0].value)
    assert values == [float(number) for number in range(end - 199, end + 1)]
    assert daemon.bytes < limit
    assert daemon.connections <= 6
