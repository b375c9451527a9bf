"""Instants as people write them on the command line."""

import re
from datetime import UTC, datetime, timedelta

from halo_daemon.errors import ConfigError
from halo_daemon.proto.times import parse_unix_ns

_NS_PER_S = 10**9
_NOW_MINUS = re.compile(r"now-(\S+)")


def parse_instant(text: str, *, now_unix_ns: int) -> int:
    """
    Read an instant.

    Args:
        text: A duration such as ``24h`` (that long ago), ``now``, ``now-2h``,
            ``today``, ``yesterday`` (their local midnight), a date, or an ISO 8601
            time, to the nanosecond in its canonical form; without a zone it is local.

        now_unix_ns: What "now" is.

    Returns:
        Nanoseconds since the epoch.

    Raises:
        ConfigError: *text* is none of these.
    """
    if text == "now":
        return now_unix_ns
    relative = _NOW_MINUS.fullmatch(text)
    try:
        return now_unix_ns - _duration_ns(relative[1] if relative else text)
    except ValueError:
        pass
    try:
        return parse_unix_ns(text)
    except ValueError:
        pass
    try:
        return _to_unix_ns(_named_day(text, now_unix_ns) or datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise ConfigError(
            f'"{text}" is not an instant', hint="write 24h, now-2h, yesterday or 2026-11-20T07:00"
        ) from None


def _duration_ns(text: str) -> int:
    from halo_daemon.quantities import parse_duration_s

    return round(parse_duration_s(text) * 1000) * (_NS_PER_S // 1000)


def _named_day(text: str, now_unix_ns: int) -> datetime | None:
    days_back = {"today": 0, "yesterday": 1}.get(text)
    if days_back is None:
        return None
    now = datetime.fromtimestamp(now_unix_ns // _NS_PER_S, UTC).astimezone()
    day = now.date() - timedelta(days=days_back)
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 -- local midnight is meant


def _to_unix_ns(moment: datetime) -> int:
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * _NS_PER_S + delta.microseconds * 1000
