"""
How one attribute value is read into a canonical field.

A reader gives None for a value that says nothing (empty, a placeholder, of another
type); the next source in order of precedence is asked then. Readers never raise.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import orjson

from halo_daemon.proto.json_value import JsonValue

_loads: Final = orjson.loads
_MAX_COUNT: Final = 2**63 - 1
_MAX_NUMBER_CHARS: Final = 32
_JSON_START: Final = re.compile(r'\[\s*["\[{]|\{\s*"')
_OPENING: Final = ("[", "{")
_CLOSING: Final = ("]", "}")
_REASON_KEYS: Final = ("finish_reason", "finishReason", "stop_reason", "stopReason")
_HTTP_STATUS: Final = re.compile(r"[1-5][0-9]{2}")


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
        found: JsonValue = _loads(value)
    except orjson.JSONDecodeError:
        return None
    return found


_last_parsed: tuple[JsonValue, JsonValue] = (None, None)


def _parsed_again(value: JsonValue) -> JsonValue:
    """`parsed`, remembering the last string: the rows of one attribute follow each other."""
    global _last_parsed  # noqa: PLW0603 -- one pair, replaced as a whole
    text, found = _last_parsed
    if text is not value:
        found = parsed(value)
        _last_parsed = (value, found)
    return found


def is_cut(value: JsonValue) -> bool:
    """Whether *value* begins as a JSON object or list and ends in the middle of it."""
    if not isinstance(value, str) or not value.startswith(_OPENING) or value.endswith(_CLOSING):
        return False
    return _JSON_START.match(value) is not None and not value.rstrip().endswith(_CLOSING)


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
    """Read a name as an observation kind, in any letter case; *names* are lower-case."""
    spelt = {spelling: kind for name, kind in names.items() for spelling in (name, name.upper())}

    def read(value: JsonValue) -> str | None:
        if not isinstance(value, str):
            return None
        return spelt.get(value) or names.get(value.strip().strip('"').lower())

    return Reader(read, ", ".join(f"{name} → {kind}" for name, kind in names.items()))


def first_word(names: Mapping[str, str]) -> Reader:
    """Read the first word as `kinds` does."""
    read_kind = kinds(names).read

    def read(value: JsonValue) -> JsonValue:
        return read_kind(value.partition(" ")[0]) if isinstance(value, str) else None

    return Reader(read, "its first word")


def always(answer: str) -> Reader:
    """Give *answer* whenever the attribute says something."""

    def read(value: JsonValue) -> str | None:
        return None if value in (None, "", [], {}) else answer

    return Reader(read, f"present → {answer}")


def at(path: str, reader: Reader) -> Reader:
    """Read the value at *path* (keys joined by dots) of an object or of its JSON string."""
    keys = path.split(".")

    def read(value: JsonValue) -> JsonValue:
        found = _parsed_again(value)
        for key in keys:
            found = _inside(found, key)
        return None if found is None else reader.read(found)

    return Reader(read, f"JSON `.{path}`")


def _inside(value: JsonValue, key: str) -> JsonValue:
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and key.isdigit():
        return value[int(key)] if int(key) < len(value) else None
    return None


def at_first(paths: tuple[str, ...], reader: Reader) -> Reader:
    """Read the first of *paths* that says something, each as `at` does."""
    readers = [at(path, reader) for path in paths]

    def read(value: JsonValue) -> JsonValue:
        found = _parsed_again(value)
        if not isinstance(found, dict | list):
            return None
        answers = (one.read(found) for one in readers)
        return next((answer for answer in answers if answer is not None), None)

    return Reader(read, "JSON " + ", ".join(f"`.{path}`" for path in paths))


def holding(words: tuple[str, ...], reader: Reader) -> Reader:
    """Read as *reader* does a text that holds one of *words*, and no other: not to parse all."""

    def read(value: JsonValue) -> JsonValue:
        if isinstance(value, str) and not any(word in value for word in words):
            return None
        return reader.read(value)

    return Reader(read, reader.label)


def beside(others: tuple[str, ...], name: str, reader: Reader) -> Reader:
    """Read *name* of a family of keys where the family has a count under one of *others*."""

    def read(value: JsonValue) -> JsonValue:
        if not isinstance(value, dict) or all(_count(value.get(key)) is None for key in others):
            return None
        return reader.read(value.get(name))

    return Reader(read, f"`{name}`, beside {' or '.join(f'`{key}`' for key in others)}")


def ending(names: Mapping[str, str]) -> Reader:
    """Read the end of a name as an observation kind, such as that of a class."""

    def read(value: JsonValue) -> str | None:
        if not isinstance(value, str):
            return None
        return next((kind for end, kind in names.items() if value.endswith(end)), None)

    return Reader(read, ", ".join(f"…{end} → {kind}" for end, kind in names.items()))


def containing(names: Mapping[str, str]) -> Reader:
    """Read a name as an observation kind by the first of *names* that stands in it."""

    def read(value: JsonValue) -> str | None:
        if not isinstance(value, str):
            return None
        return next((kind for part, kind in names.items() if part in value), None)

    return Reader(read, ", ".join(f"…{part}… → {kind}" for part, kind in names.items()))


def unless(placeholders: frozenset[str], reader: Reader) -> Reader:
    """Read as *reader* does, but take *placeholders* for absent."""

    def read(value: JsonValue) -> JsonValue:
        return None if isinstance(value, str) and value in placeholders else reader.read(value)

    words = ", ".join(f"`{word}`" for word in sorted(placeholders))
    return Reader(read, f"{words} means absent")


def quoted(reader: Reader) -> Reader:
    """Read as *reader* does, but take off the quotes of a JSON string first."""

    def read(value: JsonValue) -> JsonValue:
        if isinstance(value, str) and value[:1] == '"':
            value = parsed(value)
        return reader.read(value)

    return Reader(read, "JSON-quoted")


def matching(pattern: str) -> Reader:
    """Read the first group of *pattern*, which all of the text must match."""
    expression = re.compile(pattern)

    def read(value: JsonValue) -> str | None:
        found = expression.fullmatch(value) if isinstance(value, str) else None
        return found[1] if found else None

    return Reader(read, f"`{pattern}`")


def renamed(names: Mapping[str, str]) -> Reader:
    """Read text, some of it under another name."""

    def read(value: JsonValue) -> str | None:
        text = _text(value)
        return None if text is None else names.get(text, text)

    return Reader(read, ", ".join(f"{name} → {other}" for name, other in names.items()))


def before_slash(names: Mapping[str, str]) -> Reader:
    """Read the part before the first slash, some of it under another name; None without one."""

    def read(value: JsonValue) -> str | None:
        if not isinstance(value, str):
            return None
        name, slash, _ = value.partition("/")
        return names.get(name, name) or None if slash else None

    words = "".join(f", {name} → {other}" for name, other in names.items())
    return Reader(read, f"the part before the slash{words}")


def _before_dot(value: JsonValue) -> str | None:
    return value.partition(".")[0] or None if isinstance(value, str) else None


def _reasons(value: JsonValue) -> list[JsonValue] | None:
    """Finish reasons, from one word, a list, or messages that carry theirs."""
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        value = parsed(value)
    found: list[JsonValue] = []
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            reason = next((item[key] for key in _REASON_KEYS if item.get(key)), None)
        else:
            reason = item
        if isinstance(reason, str) and reason:
            found.append(reason)
    return found or None


def _message_reasons(value: JsonValue) -> list[JsonValue] | None:
    # Text alone is what was said, not why it ended.
    is_json = not isinstance(value, str) or value[:1] in {"[", "{"}
    return _reasons(value) if is_json else None


def _indexed_reasons(value: JsonValue) -> list[JsonValue] | None:
    if not isinstance(value, dict):
        return None
    return [reason for key, reason in value.items() if key.endswith("finish_reason")] or None


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


def _false(value: JsonValue) -> bool | None:
    return (value is False or (isinstance(value, str) and value.lower() == "false")) or None


STATED = Reader(_stated, "present → status ERROR")
HTTP_STATUS = Reader(_http_status, "400 or above (SERVER spans: 500) → status ERROR")
ERROR_WORD = Reader(_error_word, "`error` → derived flag")
TRUE = Reader(_true, "true → derived flag")
FALSE = Reader(_false, "false → derived flag")
BEFORE_DOT = Reader(_before_dot, "the part before the dot")
REASONS = Reader(_reasons, "one word, a list, or the `finish_reason` of messages")
_LANGCHAIN: Final = "generations.0.0.message.kwargs.response_metadata"
ANSWER_REASONS: Final[Reader] = holding(
    ("finish_reason", "stop_reason", '"incomplete_details"'),
    at_first(
        (
            *("choices", "finish_reason", "stop_reason", "incomplete_details.reason"),
            *("generations.0.0.generation_info.finish_reason", f"{_LANGCHAIN}.finish_reason"),
            f"{_LANGCHAIN}.stop_reason",
        ),
        REASONS,
    ),
)
MESSAGE_REASONS: Final[Reader] = Reader(_message_reasons, "the `finish_reason` of messages")
INDEXED_REASONS = Reader(_indexed_reasons, "`N.finish_reason`")
