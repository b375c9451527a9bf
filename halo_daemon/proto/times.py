"""Nanoseconds since the epoch to the fixed-width text of a canonical line, and back."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_NANOS = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_SECONDS = 4096
_SECONDS_TEXT_LENGTH = len("1970-01-01T00:00:00")


class _SecondTexts(dict[str, str]):
    """Seconds since the epoch, in digits, to the text before the nanoseconds."""

    def __missing__(self, second: str) -> str:
        # timedelta arithmetic, not fromtimestamp: exact over the whole uint64 range.
        text = (_EPOCH + timedelta(seconds=int(second))).strftime("%Y-%m-%dT%H:%M:%S.")
        if len(self) >= _MAX_SECONDS:
            self.clear()
        self[second] = text
        return text


_SECOND_TEXTS: Final = _SecondTexts()


@lru_cache(maxsize=_MAX_SECONDS)
def _text_to_second(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int((moment - _EPOCH).total_seconds())


def format_unix_ns(unix_ns: int) -> str:
    """
    Write a time as the 30 characters ``YYYY-MM-DDThh:mm:ss.nnnnnnnnnZ``.

    Text order equals numeric order over the whole range of uint64.
    """
    # Cutting the digits is quicker than dividing the number, and this runs twice a span.
    digits = str(unix_ns) if unix_ns >= _NANOS else f"{unix_ns:010d}"
    return f"{_SECOND_TEXTS[digits[:-9]]}{digits[-9:]}Z"


def parse_unix_ns(text: str) -> int:
    """
    Read what `format_unix_ns` wrote.

    Raises:
        ValueError: *text* is not of that form.
    """
    if len(text) != 30 or text[19] != "." or text[29] != "Z":  # noqa: PLR2004 -- the fixed form
        raise ValueError(f"`{text[:40]}` is not a canonical time")
    return _text_to_second(text[:_SECONDS_TEXT_LENGTH]) * _NANOS + int(text[20:29])
