"""
When an entry of the schedule is due, whether it was missed, and what its run covers.

Nothing but the entry and the end of its last completed run decides.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tzlocal
from cronsim import CronSim

from halo_daemon.config import ScheduleEntry
from halo_daemon.config_checks import five_field_cron
from halo_daemon.log import get_logger

log = get_logger()

MAX_CATCH_UP_NS = 8 * 86_400 * 10**9
"""The longest window that a catch-up opens: a week, and a day to notice."""

_NANOS = 10**9


def zone_of(entry: ScheduleEntry) -> tzinfo:
    """The time zone that the entry's expression is meant in; UTC when the local one is unknown."""
    if entry.timezone == "UTC":
        return UTC
    if entry.timezone != "local":
        return ZoneInfo(entry.timezone)
    try:
        return tzlocal.get_localzone()
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        log.warning("local_time_zone_unknown", using="UTC", error=str(exc))
        return UTC


def times_after(entry: ScheduleEntry, after: datetime) -> Iterator[datetime]:
    """
    When the entry is due, in its own zone, strictly after a moment that has a zone.

    A time that the spring change skips comes at the end of the gap, one that the
    autumn change repeats comes once. Ends where no more time exists.
    """
    return CronSim(five_field_cron(entry.cron), after.astimezone(zone_of(entry)))


def next_times(entry: ScheduleEntry, count: int, *, after: datetime) -> list[datetime]:
    """The next *count* times the entry is due, fewer where there are no more."""
    return list(islice(times_after(entry, after), count))


def is_missed(entry: ScheduleEntry, *, last_unix_ns: int | None, now_unix_ns: int) -> bool:
    """Whether the entry was due since its last completed run; always when it never ran."""
    if last_unix_ns is None:
        return True
    due = next(times_after(entry, _moment(last_unix_ns)), None)
    return due is not None and due <= _moment(now_unix_ns)


def window_start(entry: ScheduleEntry, *, last_unix_ns: int | None, now_unix_ns: int) -> int:
    """
    Where the window of a run that begins now begins, in Unix nanoseconds.

    It reaches back as far as the entry says, and further to the end of the last
    completed run when runs were missed or failed, but never beyond
    `MAX_CATCH_UP_NS` for that reason.
    """
    oldest = now_unix_ns - MAX_CATCH_UP_NS
    covered = now_unix_ns if last_unix_ns is None else min(last_unix_ns, now_unix_ns)
    if entry.since_s == "last_run":
        return oldest if last_unix_ns is None else max(covered, oldest)
    wanted = now_unix_ns - round(entry.since_s * _NANOS)
    return min(wanted, max(covered, oldest))


def _moment(unix_ns: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=unix_ns // 1_000)
