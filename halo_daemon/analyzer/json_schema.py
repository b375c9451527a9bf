"""The part of JSON Schema that tool definitions use: says what a value breaks first."""

import re

from halo_daemon.proto.json_value import JsonObject, JsonValue

_MAX_DEPTH = 8
_DATES = {"date": "a date", "date-time": "a date and time"}
_DATE = re.compile(r"\s*(?:[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])|-?[0-9]+(?:\.[0-9]+)?\s*$)")
"""A day as RFC 3339 writes it, or a number, which lenient callers take for seconds."""
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}


def violation(value: JsonValue, schema: JsonObject, *, path: str = "", depth: int = 0) -> str:
    """
    Say what *value* breaks first, without quoting values; ``""`` when it is fine.

    Looks at ``type``, ``required``, ``enum``, ``properties``, ``additionalProperties``,
    ``items`` and the ``format`` of dates. A value that a lenient caller converts (``"5"``
    for 5, ``5.0`` for 5) is fine, and so is none where the schema states a default. What
    the schema says in other words is not checked.
    """
    if depth > _MAX_DEPTH or not isinstance(schema, dict):
        return ""
    label = f"`{path}`" if path else "the arguments"
    wanted = _wanted_types(schema)
    if wanted and not any(_is_of(value, name) for name in wanted):
        return f"{label}: {_type_name(value)} instead of {' or '.join(wanted)}"
    choices = schema.get("enum")
    if isinstance(choices, list) and choices and value not in choices and value is not None:
        return f"{label}: not one of the {len(choices)} allowed values"
    if isinstance(value, dict):
        return _object_violation(value, schema, path, depth)
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, dict):
        found = (violation(item, items, path=f"{path}[]", depth=depth + 1) for item in value)
        return next((text for text in found if text), "")
    return _date_violation(value, schema.get("format"), label) if isinstance(value, str) else ""


def _date_violation(value: str, stated: JsonValue, label: str) -> str:
    date = _DATES.get(stated) if isinstance(stated, str) else None
    return f"{label}: not {date}" if date and value and not _DATE.match(value) else ""


def _wanted_types(schema: JsonObject) -> list[str]:
    stated = schema.get("type")
    names = stated if isinstance(stated, list) else [stated]
    wanted = [name for name in names if isinstance(name, str)]
    if any(name not in _TYPES for name in wanted):
        return []
    if schema.get("nullable") is True and wanted:
        wanted.append("null")
    return wanted


def _is_of(value: JsonValue, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if isinstance(value, _TYPES[name]):
        return True
    if name == "integer":
        return (isinstance(value, float) and value.is_integer()) or _is_numeral(value)
    if name == "number":
        return _is_numeral(value)
    return name == "boolean" and value in ("true", "false")


def _is_numeral(value: JsonValue) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def _type_name(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "boolean"
    return next(name for name, types in _TYPES.items() if isinstance(value, types))


def _object_violation(value: JsonObject, schema: JsonObject, path: str, depth: int) -> str:
    prefix = f"{path}." if path else ""
    required = schema.get("required")
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    for name in required if isinstance(required, list) else ():
        if isinstance(name, str) and name not in value and not _has_default(known.get(name)):
            return f"`{prefix}{name}` is missing"
    if schema.get("additionalProperties") is False:
        for name in sorted(value):
            if name not in known:
                return f"`{prefix}{name}` is not a parameter"
    for name, part in known.items():
        if name in value and isinstance(part, dict):
            optional = not (isinstance(required, list) and name in required)
            if optional and value[name] is None:
                continue
            found = violation(value[name], part, path=f"{prefix}{name}", depth=depth + 1)
            if found:
                return found
    return ""


def _has_default(schema: JsonValue) -> bool:
    """Whether who leaves the value out gets one: some generators list those as required."""
    return isinstance(schema, dict) and "default" in schema
