"""
The forms in which messages arrive, and the one in which they are written.

Readers here turn an attribute into a list of messages; a message is an object with
``role``, ``content`` or ``contents``, ``tool_calls``, ``tool_call_id`` and ``name``, each
left out when unknown. Parts that cannot be read are passed over one by one: one bad
message never costs the others.
"""

from collections.abc import Iterator
from typing import Final, cast

import orjson

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.readers import Reader, compact_json

MAX_MESSAGES: Final = 10_001
"""Messages rebuilt for one field; the rest stays in the raw attribute."""


def write_messages(attributes: JsonObject, prefix: str, messages: JsonValue) -> None:
    """Write *messages* as flat keys under *prefix*, in OpenInference's form."""
    if not isinstance(messages, list):
        return
    for index, message in enumerate(messages):
        if isinstance(message, dict):
            _write_message(attributes, f"{prefix}.{index}.message.", message)


def _write_message(attributes: JsonObject, stem: str, message: JsonObject) -> None:
    for name in ("role", "content"):
        if name in message:
            attributes[stem + name] = message[name]
    contents = message.get("contents")
    for index, part in enumerate(contents if isinstance(contents, list) else ()):
        if isinstance(part, dict):
            for name, value in part.items():
                attributes[f"{stem}contents.{index}.message_content.{name}"] = value
    calls = message.get("tool_calls")
    for index, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, dict):
            _write_call(attributes, f"{stem}tool_calls.{index}.tool_call.", call)
    for name in ("tool_call_id", "name"):
        if name in message:
            attributes[stem + name] = message[name]


def _write_call(attributes: JsonObject, stem: str, call: JsonObject) -> None:
    for name, key in (("id", "id"), ("name", "function.name"), ("arguments", "function.arguments")):
        if name in call:
            attributes[stem + key] = call[name]


def parsed(value: JsonValue) -> JsonValue:
    """Parse a JSON string; None when it does not parse, other values as they are."""
    if not isinstance(value, str):
        return value
    try:
        return cast("JsonValue", orjson.loads(value))
    except orjson.JSONDecodeError:
        return None


def _read_parts(value: JsonValue) -> JsonValue:
    messages = list(_messages_of_parts(parsed(value)))
    return messages or None


def _messages_of_parts(value: JsonValue) -> Iterator[JsonValue]:
    for item in (value if isinstance(value, list) else [value])[:MAX_MESSAGES]:
        if isinstance(item, dict):
            yield from _message_of_parts(item)


def _message_of_parts(item: JsonObject) -> Iterator[JsonObject]:
    """The message of one item; one for each tool answer that it holds."""
    message: JsonObject = {}
    if isinstance(item.get("role"), str):
        message["role"] = item["role"]
    texts: list[JsonObject] = []
    calls: list[JsonValue] = []
    answers: list[JsonObject] = []
    parts = item.get("parts")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict):
            _sort_part(part, texts, calls, answers)
    if len(texts) == 1 and texts[0]["type"] == "text":
        message["content"] = texts[0]["text"]
    elif texts:
        message["contents"] = list(texts)
    if calls:
        message["tool_calls"] = calls
    if texts or calls or not answers:
        yield message
    for tool_answer in answers:
        yield {**message_role(message, "tool"), **tool_answer}


def message_role(message: JsonObject, fallback: str) -> JsonObject:
    """The role of *message* as an object of its own."""
    return {"role": message.get("role", fallback)}


def _sort_part(
    part: JsonObject,
    texts: list[JsonObject],
    calls: list[JsonValue],
    answers: list[JsonObject],
) -> None:
    kind = part.get("type")
    if kind == "tool_call":
        calls.append(_call(part))
    elif kind == "tool_call_response":
        answers.append(_answer(part))
    elif "content" in part:
        texts.append({"type": as_text(kind) or "text", "text": as_text(part["content"])})


def _call(part: JsonObject) -> JsonObject:
    call: JsonObject = {}
    for name in ("id", "name"):
        if part.get(name):
            call[name] = as_text(part[name])
    if part.get("arguments") is not None:
        call["arguments"] = as_text(part["arguments"])
    return call


def _answer(part: JsonObject) -> JsonObject:
    content = part.get("response", part.get("result"))
    found: JsonObject = {"content": as_text(content)}
    if part.get("id"):
        found["tool_call_id"] = as_text(part["id"])
    return found


def as_text(value: JsonValue) -> str:
    """Text as it is, other values as compact JSON, absent as ``""``."""
    if isinstance(value, str):
        return value
    return "" if value is None else compact_json(value)


PARTS = Reader(_read_parts, "list of {role, parts}, structured or as a JSON string")
