"""Messages as flat attributes, in OpenInference's form."""

from typing import Final

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.targets import INPUT_MESSAGES, OUTPUT_MESSAGES

_PLAIN_KEYS: Final = 2
"""Of a message with nothing but a role and a content."""

_MAX_KEPT: Final = 64
"""Messages of a list whose keys are kept."""


def write_messages(attributes: JsonObject, prefix: str, messages: JsonValue) -> None:
    """Write *messages*, a list of objects, as flat keys under *prefix*, in OpenInference's form."""
    if not isinstance(messages, list):
        return
    kept = _KEPT[prefix]
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        stem, role, content = kept[index] if index < _MAX_KEPT else _keys_of(prefix, index)
        if len(message) == _PLAIN_KEYS and "role" in message and "content" in message:
            attributes[role] = message["role"]
            attributes[content] = message["content"]
            continue
        for name, value in message.items():
            if isinstance(value, str):
                attributes[stem + name] = value
            elif name == "contents":
                _write_each(attributes, f"{stem}contents.", ".message_content.", value)
            elif name == "tool_calls":
                _write_each(attributes, f"{stem}tool_calls.", ".tool_call.", value)
            else:
                attributes[stem + name] = value


def _keys_of(prefix: str, index: int) -> tuple[str, str, str]:
    """The beginning of a message's keys, its role's key and its content's."""
    stem = f"{prefix}.{index}.message."
    return stem, f"{stem}role", f"{stem}content"


_KEPT: Final = {
    prefix: [_keys_of(prefix, index) for index in range(_MAX_KEPT)]
    for prefix in (INPUT_MESSAGES, OUTPUT_MESSAGES)
}


def _write_each(attributes: JsonObject, stem: str, infix: str, items: JsonValue) -> None:
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict):
            for name, value in item.items():
                attributes[f"{stem}{index}{infix}{name}"] = value
