"""Values of foreign JSON, read without trust; pure."""

import orjson

from halo_daemon.proto.json_value import JsonObject, JsonValue


def mapping(value: JsonValue) -> JsonObject:
    """An object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def items(value: JsonValue) -> list[JsonValue]:
    """A list, or an empty one in place of anything else."""
    return value if isinstance(value, list) else []


def objects(value: JsonValue) -> list[JsonObject]:
    """The objects of a list, in order; what is none is left out."""
    return [one for one in items(value) if isinstance(one, dict)]


def text(value: JsonValue) -> str:
    """A string, or ``""`` in place of anything else."""
    return value if isinstance(value, str) else ""


def count(value: JsonValue) -> int | None:
    """A count, or None in place of anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def as_text(value: JsonValue) -> str | None:
    """A string as it is, None as None, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def needed(record: JsonObject, key: str) -> str:
    """
    The id that a record has to have.

    Raises:
        KeyError: It is missing or empty.
    """
    value = record.get(key)
    if not isinstance(value, (str, int)) or isinstance(value, bool) or value == "":
        raise KeyError(key)
    return str(value)


def texts_of(blocks: JsonValue) -> str:
    """The text of a message: a string, or the text parts of a list, a line each."""
    if isinstance(blocks, str):
        return blocks
    parts = [
        one if isinstance(one, str) else text(mapping(one).get("text")) for one in items(blocks)
    ]
    return "\n".join(part for part in parts if part)
