"""ISO 8601 as other tools write it, to nanoseconds; pure."""

import re
from datetime import datetime, timedelta

from halo_daemon.proto.json_value import JsonValue

_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2})(?:[.,](\d+))?\s*(Z|[+-]\d{2}:?\d{2})?", re.IGNORECASE
)
_LATEST = 2**63 - 1
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- arithmetic in UTC


def iso_unix_ns(text: JsonValue, *, latest_unix_ns: int = _LATEST) -> int | None:
    """
    ISO 8601 to nanoseconds with all its digits; UTC without a zone.

    Returns:
        None for anything else, and for times after the latest, which is in the year 2262.
    """
    match = _ISO.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[1])
    except ValueError:
        return None
    zone = match[3] or "Z"
    offset = timedelta()
    if zone not in {"Z", "z"}:
        sign = -1 if zone[0] == "-" else 1
        offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    since = moment - offset - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    unix_ns = max(0, seconds * 10**9 + int((match[2] or "")[:9].ljust(9, "0")))
    return unix_ns if unix_ns <= latest_unix_ns else None
