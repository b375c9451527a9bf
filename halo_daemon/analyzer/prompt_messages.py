"""What the messages of one prompt say of tools: results, and the calls that they answer."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from halo_daemon.analyzer.content import NO_TEXT, RequestedCall, Text, text_of
from halo_daemon.proto.json_value import JsonObject

_MAX_KEYS = 16_384
_MAX_PARTS = 64
"""Parts of one message, and calls of one message, that are looked at."""
_MAX_BACK = 256
"""Messages between a call and its result."""


class MessageKeys(NamedTuple):
    """The attributes of one input message."""

    stem: str
    role: str
    content: str
    call_id: str
    name: str
    is_error: str


@lru_cache(maxsize=_MAX_KEYS)
def keys_of(place: int) -> MessageKeys:
    """The attributes of the message at *place*, from 0."""
    stem = f"llm.input_messages.{place}.message."
    return MessageKeys(
        stem,
        *(f"{stem}{field}" for field in ("role", "content", "tool_call_id", "name", "is_error")),
    )


def is_result(attributes: JsonObject, keys: MessageKeys) -> bool:
    """Whether a message is what a tool said; some hand it on as a user's, with the call's id."""
    role = attributes.get(keys.role)
    return role == "tool" or (role == "user" and bool(attributes.get(keys.call_id)))


def result_of(attributes: JsonObject, keys: MessageKeys) -> tuple[str | None, Text]:
    """The text of a message, None where none is recorded, and its first piece where that stands."""
    if keys.content in attributes:
        text = text_of(attributes[keys.content])
        return text, Text(keys.content, text)
    first, texts = NO_TEXT, []
    for number in range(_MAX_PARTS):
        stem = f"{keys.stem}contents.{number}.message_content."
        value = attributes.get(f"{stem}text")
        if isinstance(value, str):
            texts.append(value)
            first = first if len(texts) > 1 else Text(f"{stem}text", value)
        elif f"{stem}type" not in attributes:
            break
    return ("\n".join(texts) if texts else None), first


def answered_call(
    attributes: JsonObject, place: int, call_id: str, name: str
) -> RequestedCall | None:
    """The call before the message at *place* that it answers: by id, else by its turn."""
    answers_before = 0
    calls: list[RequestedCall] = []
    for earlier in range(place - 1, max(-1, place - _MAX_BACK), -1):
        role = attributes.get(keys_of(earlier).role)
        if not calls and is_result(attributes, keys_of(earlier)):
            answers_before += not name or attributes.get(keys_of(earlier).name) == name
        elif role == "assistant":
            here = list(_calls_in(attributes, earlier))
            by_id = next((one for one in here if call_id and one.call_id == call_id), None)
            if by_id is not None:
                return by_id
            calls = here + calls
        elif calls and not call_id:
            break
    # An id that no call has is no reason to take another one's.
    alike = [] if call_id else [one for one in calls if not name or one.name == name]
    return alike[answers_before] if answers_before < len(alike) else None


def _calls_in(attributes: JsonObject, place: int) -> Iterator[RequestedCall]:
    """The calls that one message of a prompt says were asked for."""
    stem = keys_of(place).stem
    for number in range(_MAX_PARTS):
        prefix = f"{stem}tool_calls.{number}.tool_call."
        name = attributes.get(f"{prefix}function.name")
        call_id = text_of(attributes.get(f"{prefix}id"))
        if not isinstance(name, str) and not call_id:
            return
        key = f"{prefix}function.arguments"
        value = text_of(attributes.get(key))
        arguments = Text(key, value) if value else NO_TEXT
        yield RequestedCall(call_id, text_of(name), arguments)
