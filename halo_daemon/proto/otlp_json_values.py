"""Attribute values of OTLP/JSON: ``{"stringValue": …}`` and the rest, to plain JSON."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from halo_daemon.proto import otlp_json_fields as read
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.otlp_json_fields import WrongTypeError, name
from halo_daemon.proto.value import DUPLICATE_KEYS, STRING_INDEX, json_double, nesting_error

_ATTRIBUTES = name("attributes")
_KEY = name("key")
_KEY_INDEX = name("keyStrindex")
_VALUE = name("value")
_VALUES = name("values")

_STRING, _BOOL, _INT, _DOUBLE = "stringValue", "boolValue", "intValue", "doubleValue"
_BYTES, _ARRAY, _OBJECT = "bytesValue", "arrayValue", "kvlistValue"
_STRING_INDEX = "stringValueStrindex"
_FIELDS: Final = {
    spelling: camel
    for camel in (_STRING, _BOOL, _INT, _DOUBLE, _BYTES, _ARRAY, _OBJECT, _STRING_INDEX)
    for spelling in name(camel)
}


class JsonValues:
    """
    Reads the attributes of one request.

    Args:
        warnings: Where oddities are counted.
        limits: What the request may hold.
        take_parts: Called with the number of pairs or values before they are read; may raise.
    """

    def __init__(
        self, warnings: Counter[str], limits: DecodeLimits, take_parts: Callable[[int], None]
    ) -> None:
        self._warnings = warnings
        self._max_depth = limits.max_depth
        self._take_parts = take_parts

    def attributes(self, pairs: list[JsonObject]) -> JsonObject:
        """
        Read attributes, in order of arrival; empty for none.

        Raises:
            WrongTypeError: A key or value is not what OTLP has there.
            DecodeError: A value is nested too deep.
        """
        return self._object(pairs, _ATTRIBUTES, 0)

    def _object(self, pairs: list[JsonObject], field: read.Name, depth: int) -> JsonObject:
        self._take_parts(len(pairs))
        # The last of duplicate keys wins at the place of the first: a dict's own rule.
        found: JsonObject = {}
        for index, pair in enumerate(pairs):
            key, value = pair.get(_KEY[0]), pair.get(_VALUE[0])
            try:
                # The usual pair needs no reader, and there are many of it.
                if isinstance(key, str) and key and isinstance(value, dict):
                    found[key] = self._value(value, depth)
                else:
                    self._read_odd(pair, found, depth)
            except WrongTypeError as exc:
                exc.path.append(f"{field[0]}[{index}]")
                raise
        if len(found) != len(pairs):
            self._warnings[DUPLICATE_KEYS] += len(pairs) - len(found)
        return found

    def _read_odd(self, pair: JsonObject, found: JsonObject, depth: int) -> None:
        key = read.text(pair, _KEY)
        found[key] = self._value(read.message(pair, _VALUE), depth)
        if not key and read.integer(pair, _KEY_INDEX, read.INT32):
            self._warnings[STRING_INDEX] += 1

    def _value(self, value: JsonObject, depth: int) -> JsonValue:
        text = value.get(_STRING)
        if isinstance(text, str) and len(value) == 1:
            return text
        chosen = [
            (_FIELDS[spelling], content)
            for spelling, content in value.items()
            if content is not None and spelling in _FIELDS
        ]
        if not chosen:
            return None
        if len(chosen) > 1:
            raise WrongTypeError("value", "one value", " and ".join(field for field, _ in chosen))
        field, content = chosen[0]
        if field == _ARRAY:
            return self._array(content, depth)
        if field == _OBJECT:
            inner = self._deeper(depth)
            return self._object(read.objects(_inner(content, field), _VALUES), _VALUES, inner)
        return self._scalar(field, content)

    def _scalar(self, field: str, content: JsonValue) -> JsonValue:
        path = f"value.{field}"
        if field == _STRING:
            if not isinstance(content, str):
                raise WrongTypeError(path, "a string", content)
            return content
        if field == _INT:
            return read.whole(content, path, read.INT64)
        if field == _BOOL:
            return read.boolean(content, path)
        if field == _DOUBLE:
            return json_double(read.double(content, path))
        if field == _BYTES:
            return read.base64(content, path)
        # An index into the string table of a profile, which a trace does not have.
        self._warnings[STRING_INDEX] += 1
        return None

    def _array(self, content: JsonValue, depth: int) -> list[JsonValue]:
        inner = self._deeper(depth)
        found: list[JsonValue] = []
        items = read.items(_inner(content, _ARRAY), _VALUES)
        self._take_parts(len(items))
        for index, item in enumerate(items):
            if item is not None and not isinstance(item, dict):
                raise WrongTypeError(f"value.{_ARRAY}.values[{index}]", "an object", item)
            found.append(None if item is None else self._value(item, inner))
        return found

    def _deeper(self, depth: int) -> int:
        if depth >= self._max_depth:
            raise nesting_error(self._max_depth)
        return depth + 1


def _inner(content: JsonValue, field: str) -> JsonObject:
    if not isinstance(content, dict):
        raise WrongTypeError(f"value.{field}", "an object", content)
    return content
