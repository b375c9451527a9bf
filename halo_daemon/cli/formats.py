"""Quantities and times as people read them."""

import sys
from datetime import UTC, datetime

from halo_daemon.proto.times import format_unix_ns

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_MS_PER_S = 1000
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_NANOS = 10**9


def size(size_bytes: int) -> str:
    """Bytes with a fitting unit, as ``1.5 MiB``."""
    place, value = 0, float(size_bytes)
    while value >= _STEP and place < len(_SIZES) - 1:
        place, value = place + 1, value / _STEP
    return f"{value:.1f} {_SIZES[place]}" if place else f"{size_bytes} B"


def duration(duration_ms: float) -> str:
    """Milliseconds, or seconds when there are many."""
    if duration_ms < _MS_PER_S:
        return f"{duration_ms:.0f} ms"
    return f"{duration_ms / _MS_PER_S:.1f} s"


def local_time(unix_ns: int) -> str:
    """
    The whole time, as ``2026-11-20 08:15:02 CET`` on a terminal, ISO 8601 elsewhere.

    ``-`` for none. The zone is the local one, and is always written.
    """
    if not unix_ns:
        return "-"
    if not sys.stdout.isatty():
        return format_unix_ns(unix_ns)
    try:
        then = datetime.fromtimestamp(unix_ns // _NANOS, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return format_unix_ns(unix_ns)
    return f"{then:%Y-%m-%d %H:%M:%S %Z}"


def moment(unix_ns: int, *, now_unix_ns: int) -> str:
    """``3 min ago`` on a terminal, the whole time elsewhere; ``-`` for none."""
    if not unix_ns:
        return "-"
    age_s = (now_unix_ns - unix_ns) // _NANOS
    if not sys.stdout.isatty() or age_s < 0:
        return local_time(unix_ns)
    for width_s, unit in _AGES:
        if age_s >= width_s:
            return f"{age_s // width_s} {unit} ago"
    return "now"
