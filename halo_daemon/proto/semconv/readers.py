"""
How one attribute value is read into a canonical field.

A reader gives None for a value that says nothing (empty, a placeholder, of another
type); the next source in order of precedence is asked then. Readers never raise.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import orjson

from halo_daemon.proto.json_value import JsonValue

_MAX_COUNT = 2**63 - 1
_MAX_NUMBER_CHARS = 32
_HTTP_STATUS = re.compile(r"[1-5][0-9]{2}")


class Reader(NamedTuple):
    """A function from an attribute's value to a field's value, and what it does in words."""

    read: Callable[[JsonValue], JsonValue]
    label: str = ""


def _text(value: JsonValue) -> str | None:
    if isinstance(value, str):
        return value or None
    # Ids of users and sessions arrive as numbers too.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _count(value: JsonValue) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value <= _MAX_COUNT else None
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _number(value: JsonValue) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) <= _MAX_NUMBER_CHARS:
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value if 0 <= value <= _MAX_COUNT else None


def parsed(value: JsonValue) -> JsonValue:
    """Parse a JSON string; None when it does not parse, other values as they are."""
    if not isinstance(value, str):
        return value
    try:
        return cast("JsonValue", orjson.loads(value))
    except orjson.JSONDecodeError:
        return None


def as_text(value: JsonValue) -> str:
    """Text as it is, other values as compact JSON, absent as ``""``."""
    if isinstance(value, str):
        return value
    return "" if value is None else compact_json(value)


def _content(value: JsonValue) -> str | None:
    if isinstance(value, str):
        return value or None
    return None if value is None else compact_json(value)


def compact_json(value: JsonValue) -> str:
    """Write *value* as JSON without white space; ``""`` when it is nested past writing."""
    try:
        return orjson.dumps(value).decode("utf-8")
    except orjson.JSONEncodeError:
        return ""


TEXT = Reader(_text)
COUNT = Reader(_count)
NUMBER = Reader(_number)
CONTENT = Reader(_content, "text, or compact JSON of a structured value")


def kinds(names: Mapping[str, str]) -> Reader:
    """Read a name as an observation kind, in any letter case."""

    def read(value: JsonValue) -> str | None:
        return names.get(value.strip().strip('"').lower()) if isinstance(value, str) else None

    return Reader(read, ", ".join(f"{name} → {kind}" for name, kind in names.items()))


def always(answer: str, *, said: str = "") -> Reader:
    """Give *answer* whenever the attribute is there."""

    def read(_: JsonValue) -> str:
        return answer

    return Reader(read, said or f"present → {answer}")


def _stated(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None


def _http_status(value: JsonValue) -> int | None:
    if isinstance(value, str) and _HTTP_STATUS.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _error_word(value: JsonValue) -> bool | None:
    return (isinstance(value, str) and value.lower() == "error") or None


def _true(value: JsonValue) -> bool | None:
    return (value is True or (isinstance(value, str) and value.lower() == "true")) or None


STATED = Reader(_stated, "present → status ERROR")
HTTP_STATUS = Reader(_http_status, "400 or above (SERVER spans: 500) → status ERROR")
ERROR_WORD = Reader(_error_word, "`error` → derived flag")
TRUE = Reader(_true, "true → derived flag")
