"""Messages whose fields stand in attributes apart: one family of keys is one list of messages."""

import re
from typing import Final, cast

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.messages import PART_TYPES, messages_of
from halo_daemon.proto.semconv.readers import Reader, as_text, parsed

_INDEX: Final = re.compile(r"[0-9]{1,9}")
_FLAT_CALL: Final = re.compile(
    r"(?:tool_calls\.(?P<place>[0-9]{1,9})|function_call)\.(?:.*\.)?(?P<field>[a-z_]+)"
)


def _indexed_reader(role: str) -> Reader:
    def read(value: JsonValue) -> JsonValue:
        items = _from_flat_keys(value) if isinstance(value, dict) else []
        return cast("list[JsonValue]", messages_of(items, role)) or None

    return Reader(read, "flat keys `N.role`, `N.content`, `N.tool_calls.M.name`, by number")


def _from_flat_keys(fields: JsonObject) -> list[JsonValue]:
    items: dict[int, JsonObject] = {}
    calls: dict[tuple[int, int], JsonObject] = {}
    for key, value in fields.items():
        number, _, name = key.partition(".")
        if not _INDEX.fullmatch(number):
            continue
        name = name.removeprefix("message.")
        item = items.setdefault(int(number), {})
        call = _FLAT_CALL.fullmatch(name)
        if call is None:
            item[name.rpartition(".")[2]] = _listed_parts(value) or value
        else:
            place = int(number), int(call["place"] or 0)
            calls.setdefault(place, {})[call["field"]] = value
    for place in sorted(calls):
        listed = items[place[0]].setdefault("tool_calls", [])
        if isinstance(listed, list):
            listed.append(calls[place])
    # By number, not by text: 10 stands after 2.
    return [items[number] for number in sorted(items)]


def _listed_parts(value: JsonValue) -> list[JsonValue] | None:
    """The parts in a text that is a JSON list of nothing else; None for any other text."""
    found = parsed(value) if isinstance(value, str) and value.startswith("[{") else None
    if not isinstance(found, list) or not all(map(_is_typed_part, found)):
        return None
    return found


def _is_typed_part(item: JsonValue) -> bool:
    kind = item.get("type") if isinstance(item, dict) else None
    return isinstance(kind, str) and kind in PART_TYPES


def _read_flat(value: JsonValue) -> JsonValue:
    """One answer whose fields stand in attributes apart, those that are lists as JSON."""
    if not isinstance(value, dict):
        return None
    message: JsonObject = {
        key.rpartition(".")[2]: found if isinstance(found := parsed(field), list) else field
        for key, field in value.items()
    }
    found_messages = messages_of([message], "assistant")
    return cast("list[JsonValue]", found_messages) or None


def _read_pieces(value: JsonValue) -> JsonValue:
    """One answer whose text, reasoning, object and tool calls stand in attributes apart."""
    if not isinstance(value, dict):
        return None
    calls = parsed(value.get("toolCalls"))
    message: JsonObject = {
        "role": "assistant",
        "content": [
            {"type": kind, "text": as_text(value[name])}
            for name, kind in (("reasoning", "reasoning"), ("text", "text"), ("object", "text"))
            if value.get(name)
        ],
        "tool_calls": calls if isinstance(calls, list) else [],
    }
    found = messages_of([message], "assistant")
    return cast("list[JsonValue]", found) or None


INDEXED_INPUT: Final[Reader] = _indexed_reader("user")
INDEXED_OUTPUT: Final[Reader] = _indexed_reader("assistant")
FLAT_OUTPUT: Final[Reader] = Reader(_read_flat, "flat keys of one message")
PIECES: Final[Reader] = Reader(_read_pieces, "text, reasoning, object and toolCalls of one answer")
