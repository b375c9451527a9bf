"""Nanoseconds since the epoch to the fixed-width text of a canonical line, and back."""

from datetime import UTC, datetime, timedelta
from typing import Final

_NANOS: Final = 10**9
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_SECONDS: Final = 4096
_MAX_MINUTES: Final = 4096
_MINUTE_CHARS: Final = len("1970-01-01T00:00")
_SECOND_CHARS: Final = len("1970-01-01T00:00:00")
_SECONDS: Final = {f":{second:02d}": second for second in range(60)}


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


class _MinuteStarts(dict[str, int]):
    """The text before the seconds to the seconds since the epoch."""

    def __missing__(self, text: str) -> int:
        moment = datetime.fromisoformat(f"{text}:00").replace(tzinfo=UTC)
        second = int((moment - _EPOCH).total_seconds())
        if len(self) >= _MAX_MINUTES:
            self.clear()
        self[text] = second
        return second


_MINUTE_STARTS: Final = _MinuteStarts()


class _SecondStarts(dict[str, int]):
    """The text before the nanoseconds, its point included, to nanoseconds since the epoch."""

    def __missing__(self, text: str) -> int:
        # Spans of a trace share their minutes: a calendar is needed once for each.
        second = _SECONDS.get(text[_MINUTE_CHARS:_SECOND_CHARS])
        if second is None or text[_SECOND_CHARS:] != ".":
            raise ValueError(f"`{text}` is not the beginning of a canonical time")
        start = (_MINUTE_STARTS[text[:_MINUTE_CHARS]] + second) * _NANOS
        if len(self) >= _MAX_SECONDS:
            self.clear()
        self[text] = start
        return start


_SECOND_STARTS: Final = _SecondStarts()


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
    # All that follows the digits, so that the length is told as well.
    if text[29:] != "Z":
        raise ValueError(f"`{text[:40]}` is not a canonical time")
    return _SECOND_STARTS[text[:20]] + int(text[20:29])
