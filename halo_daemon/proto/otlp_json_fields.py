"""
Reading single fields of OTLP/JSON: the types of protobuf, however JSON spells them.

Each reader takes the object and the field's name in camelCase and snake_case. An absent
or null field is the type's zero, as in protobuf.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Final, cast

from halo_daemon.errors import DecodeError
from halo_daemon.proto.json_value import JsonObject, JsonValue

UINT32: Final = range(2**32)
INT32: Final = range(-(2**31), 2**31)
INT64: Final = range(-(2**63), 2**63)
UINT64: Final = range(2**64)

NON_FINITE: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
_STANDARD_ALPHABET: Final = str.maketrans("-_", "+/")
_HEX_DIGITS: Final = "0123456789abcdef"
_MAX_SHOWN_CHARS = 40
_PLAIN_DIGITS = 20

Name = tuple[str, str]
"""A field's name in camelCase and in snake_case."""


def name(camel: str) -> Name:
    """Both spellings of the field *camel*."""
    return camel, re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), camel)


class WrongTypeError(Exception):
    """
    A JSON value is of another type than its field.

    Attributes:
        path: Where it stands, innermost first; completed on the way out.
    """

    def __init__(self, field: str, expected: str, value: JsonValue) -> None:
        super().__init__(field)
        self.path = [field]
        self.expected = expected
        shown = value if isinstance(value, str | int | float) else type(value).__name__
        self.shown = str(shown)[:_MAX_SHOWN_CHARS]

    def told(self) -> str:
        """What stands where, and what should."""
        path = ".".join(reversed(self.path)).replace(".[", "[")
        return f"`{path}` is `{self.shown}`, not {self.expected}"

    def as_decode_error(self) -> DecodeError:
        """The same for the sender, where it costs the request."""
        return DecodeError(
            f"cannot decode the JSON request: {self.told()}",
            hint="see the JSON encoding of OTLP",
        )


class OutOfRangeError(WrongTypeError):
    """A JSON number is not one that its field can hold."""


def raw(fields: JsonObject, field: Name) -> JsonValue:
    """The field's value as it came; None when absent. The camelCase spelling wins."""
    value = fields.get(field[0])
    return value if value is not None else fields.get(field[1])


def text(fields: JsonObject, field: Name) -> str:
    """A string."""
    value = fields.get(field[0])
    if value is None and (value := fields.get(field[1])) is None:
        return ""
    if not isinstance(value, str):
        raise WrongTypeError(field[0], "a string", value)
    return value


def items(fields: JsonObject, field: Name) -> list[JsonValue]:
    """A list of any values."""
    value = fields.get(field[0])
    if value is None and (value := fields.get(field[1])) is None:
        return []
    if not isinstance(value, list):
        raise WrongTypeError(field[0], "a list", value)
    return value


def objects(fields: JsonObject, field: Name) -> list[JsonObject]:
    """A list of objects."""
    found = items(fields, field)
    for index, item in enumerate(found):
        if not isinstance(item, dict):
            raise WrongTypeError(f"{field[0]}[{index}]", "an object", item)
    return cast("list[JsonObject]", found)


def texts(fields: JsonObject, field: Name) -> list[JsonValue]:
    """A list of strings."""
    found = items(fields, field)
    for index, item in enumerate(found):
        if not isinstance(item, str):
            raise WrongTypeError(f"{field[0]}[{index}]", "a string", item)
    return found


def message(fields: JsonObject, field: Name) -> JsonObject:
    """An object."""
    value = raw(fields, field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WrongTypeError(field[0], "an object", value)
    return value


def integer(fields: JsonObject, field: Name, within: range) -> int:
    """An integer, as a number or as text; ``1.5e18`` is one, ``1.5`` is not."""
    value = fields.get(field[0])
    if value is None and (value := fields.get(field[1])) is None:
        return 0
    # A small number is what most fields hold: counts, flags, kinds.
    if value.__class__ is int and 0 <= value < within.stop:
        return value
    return whole(value, field[0], within)


def whole(value: JsonValue, field: str, within: range) -> int:
    """
    *value* as an integer.

    Raises:
        WrongTypeError: It is none, or outside *within*.
    """
    number: int | None = None
    if isinstance(value, str):
        is_plain = len(value) <= _PLAIN_DIGITS and value.isascii() and value.isdigit()
        number = int(value) if is_plain or _INTEGER.fullmatch(value) else None
    elif isinstance(value, float):
        # The parser reads integers past 64 bits as floats, the lowest one in range too.
        number = int(value) if value.is_integer() and value > INT64.start else None
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    if number is None or number not in within:
        is_number = number is not None or isinstance(value, float)
        error = OutOfRangeError if is_number else WrongTypeError
        raise error(field, f"an integer from {within.start} to {within.stop - 1}", value)
    return number


def enum(fields: JsonObject, field: Name, numbers: Mapping[str, int]) -> tuple[int, bool]:
    """An enum's number, and whether it came by name; unknown names are 0."""
    value = raw(fields, field)
    if value is None:
        return 0, False
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        return numbers.get(value.upper(), 0), True
    return whole(value, field[0], INT32), False


def double(value: JsonValue, field: str) -> float:
    """A double, as a number or as text."""
    if isinstance(value, str) and (value in NON_FINITE or _NUMBER.fullmatch(value)):
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise WrongTypeError(field, "a number", value)


def boolean(value: JsonValue, field: str) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise WrongTypeError(field, "true or false", value)
    return value


def base64(value: JsonValue, field: str) -> str:
    """Bytes in either base64 alphabet, padded or not, as standard padded base64."""
    if not isinstance(value, str):
        raise WrongTypeError(field, "base64", value)
    standard = value.translate(_STANDARD_ALPHABET).rstrip("=")
    padded = standard + "=" * (-len(standard) % 4)
    try:
        return b64encode(b64decode(padded, validate=True)).decode("ascii")
    except (Base64Error, ValueError) as exc:
        raise WrongTypeError(field, "base64", value) from exc


def hex_id(fields: JsonObject, field: Name, length_bytes: int) -> str:
    """
    An id in lower-case hex.

    ``""`` when absent, and ``"?"``, which no id can be, when it is not hex of that length.
    """
    value = raw(fields, field)
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise WrongTypeError(field[0], "a hex string", value)
    if len(value) == 2 * length_bytes and not value.strip(_HEX_DIGITS):
        return value
    try:
        found = bytes.fromhex(value)
    except ValueError:
        return "?"
    # `fromhex` passes over white space; an id has none.
    return found.hex() if len(found) == length_bytes == len(value) // 2 else "?"
