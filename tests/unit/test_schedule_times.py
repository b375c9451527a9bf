from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from halo_daemon.config import ScheduleEntry
from halo_daemon.schedule_times import MAX_CATCH_UP_NS, is_missed, next_times, window_start

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS
# A Friday, 12:00 UTC.
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9

NIGHTLY = ScheduleEntry(name="nightly", cron="0 3 * * *", timezone="UTC")
ROLLING = ScheduleEntry(name="rolling", cron="0 * * * *", timezone="UTC", since_s="last_run")


def _times(cron: str, zone: str, after: datetime, count: int = 2) -> list[str]:
    entry = ScheduleEntry(cron=cron, timezone=zone)
    return [time.isoformat() for time in next_times(entry, count, after=after)]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 3 * * *", ["2026-11-21T03:00:00+00:00", "2026-11-22T03:00:00+00:00"]),
        ("0 7 * * 1", ["2026-11-23T07:00:00+00:00", "2026-11-30T07:00:00+00:00"]),
        ("0 7 * * mon-fri", ["2026-11-23T07:00:00+00:00", "2026-11-24T07:00:00+00:00"]),
        ("@daily", ["2026-11-21T00:00:00+00:00", "2026-11-22T00:00:00+00:00"]),
        ("0 12 * * *", ["2026-11-21T12:00:00+00:00", "2026-11-22T12:00:00+00:00"]),
    ],
)
def test_cron_is_read_as_cron_means_it(cron, expected):
    """Monday is 1, names and `@daily` are read, and the present moment is over."""
    assert _times(cron, "UTC", NOW) == expected


def test_a_skipped_hour_runs_at_its_end():
    """On the spring day 02:30 does not exist, so the run comes at 03:00, once."""
    before = datetime(2027, 3, 28, 0, tzinfo=ZoneInfo("Europe/Berlin"))

    assert _times("30 2 * * *", "Europe/Berlin", before) == [
        "2027-03-28T03:00:00+02:00",
        "2027-03-29T02:30:00+02:00",
    ]


def test_a_repeated_hour_runs_once():
    """On the autumn day 02:30 comes twice, the run once."""
    before = datetime(2026, 10, 25, 0, tzinfo=ZoneInfo("Europe/Berlin"))

    assert _times("30 2 * * *", "Europe/Berlin", before) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


@pytest.mark.parametrize(
    ("last", "missed"),
    [
        pytest.param(None, True, id="never ran"),
        pytest.param(NOW - timedelta(hours=9), False, id="ran at three today"),
        pytest.param(NOW - timedelta(hours=9, seconds=1), True, id="ran just before three"),
        pytest.param(NOW - timedelta(days=40), True, id="long ago"),
        pytest.param(NOW + timedelta(days=1), False, id="the clock was set back"),
    ],
)
def test_a_run_is_missed_when_it_was_due_since_the_last_one(last, missed):
    """Only the last completed run and the expression decide."""
    last_unix_ns = None if last is None else int(last.timestamp()) * 10**9

    assert is_missed(NIGHTLY, last_unix_ns=last_unix_ns, now_unix_ns=NOW_NS) is missed


@pytest.mark.parametrize(
    ("entry", "last_back_ns", "back_ns"),
    [
        pytest.param(NIGHTLY, None, DAY_NS, id="first run"),
        pytest.param(NIGHTLY, DAY_NS - 5, DAY_NS, id="every night"),
        pytest.param(NIGHTLY, 3 * DAY_NS, 3 * DAY_NS, id="two nights missed"),
        pytest.param(NIGHTLY, 30 * DAY_NS, MAX_CATCH_UP_NS, id="a month missed"),
        pytest.param(NIGHTLY, -DAY_NS, DAY_NS, id="the clock was set back"),
        pytest.param(
            ROLLING, None, MAX_CATCH_UP_NS, id="since the last run, of which there is none"
        ),
        pytest.param(ROLLING, HOUR_NS, HOUR_NS, id="since the last run"),
        pytest.param(ROLLING, 30 * DAY_NS, MAX_CATCH_UP_NS, id="since a run a month ago"),
        pytest.param(ROLLING, -HOUR_NS, 0, id="since a run in the future"),
    ],
)
def test_the_window_begins_where_the_last_run_ended(entry, last_back_ns, back_ns):
    """A window covers what was missed, up to eight days, and never less than the entry says."""
    last_unix_ns = None if last_back_ns is None else NOW_NS - last_back_ns

    start = window_start(entry, last_unix_ns=last_unix_ns, now_unix_ns=NOW_NS)

    assert NOW_NS - start == back_ns


@given(st.integers(-30 * DAY_NS, 60 * DAY_NS), st.integers(60, 30 * 86_400))
def test_a_window_never_leaves_a_gap_within_the_cap(last_back_ns, since_s):
    """Between the last run and the window nothing is left out, unless it is older than the cap."""
    entry = ScheduleEntry(since_s=float(since_s))

    start = window_start(entry, last_unix_ns=NOW_NS - last_back_ns, now_unix_ns=NOW_NS)

    assert start <= NOW_NS - since_s * 10**9
    assert start <= max(NOW_NS - last_back_ns, NOW_NS - MAX_CATCH_UP_NS)
