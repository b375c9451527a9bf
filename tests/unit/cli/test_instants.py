import pytest

from halo_daemon.cli.instants import parse_instant
from halo_daemon.errors import ConfigError

S = 10**9
NOW = 1_790_000_000 * S


@pytest.mark.parametrize(
    ("text", "unix_ns"),
    [
        pytest.param("now", NOW, id="now"),
        pytest.param("24h", NOW - 86_400 * S, id="duration"),
        pytest.param("now-90s", NOW - 90 * S, id="now-minus"),
        pytest.param("500ms", NOW - S // 2, id="milliseconds"),
        pytest.param("2026-09-01T00:00:00.000000001Z", 1_788_220_800 * S + 1, id="canonical"),
        pytest.param("2026-09-01T00:00:00Z", 1_788_220_800 * S, id="iso-utc"),
        pytest.param("2026-09-01T02:00:00+02:00", 1_788_220_800 * S, id="iso-offset"),
    ],
)
def test_instants_as_people_write_them(text, unix_ns):
    """Durations count back from now; ISO times keep their zone."""
    assert parse_instant(text, now_unix_ns=NOW) == unix_ns


def test_yesterday_ends_where_today_begins():
    """Named days are local midnights, at most an hour of daylight saving apart from 24 h."""
    today = parse_instant("today", now_unix_ns=NOW)
    yesterday = parse_instant("yesterday", now_unix_ns=NOW)

    assert today <= NOW
    assert abs(today - yesterday - 86_400 * S) <= 3_600 * S


@pytest.mark.parametrize("text", ["", "24", "1 day", "soon", "2026-13-01", "now-", "9" * 40 + "d"])
def test_anything_else_is_explained(text):
    """What is not an instant is a usage error with examples."""
    with pytest.raises(ConfigError) as caught:
        parse_instant(text, now_unix_ns=NOW)

    assert "24h" in caught.value.hint
