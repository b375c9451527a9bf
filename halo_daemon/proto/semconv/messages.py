"""
The forms in which messages arrive, and the one in which they are written.

Every framework nests text, tool calls and tool answers in its own way, but the shapes
are few. A message is read by what it holds, not by who sent it: one reader takes the
parts of OpenTelemetry GenAI, the content blocks of OpenAI, Anthropic, Bedrock and the
AI SDK, the parts of Gemini and pydantic-ai, and the choices and events around them.

A message is an object with ``role``, ``content`` or ``contents``, ``tool_calls``,
``tool_call_id``, ``name`` and, of a tool's answer that is marked as a failure, ``is_error``,
each left out when unknown. What cannot be read is passed over item by item: one bad message
never costs the others.
"""

from typing import Any, Final, cast

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.message_calls import (
    ID_KEYS,
    answer_of,
    call_of,
    first_of,
    has_failed,
    result_text,
)
from halo_daemon.proto.semconv.readers import Reader, as_text, is_cut, parsed

MAX_MESSAGES: Final = 10_001
"""Messages rebuilt for one field; the rest stays in the raw attribute."""

_ROLES: Final = {
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
    "developer": "system",
    "function": "tool",
    "tool-return": "tool",
    "system-prompt": "system",
    "user-prompt": "user",
    "request": "user",
    "response": "assistant",
}
_CLASSES: Final = {
    "Human": "user",
    "AI": "assistant",
    "System": "system",
    "Tool": "tool",
    "Function": "tool",
}
_SPEAKERS: Final = frozenset({"user", "assistant", "system", "tool", *_ROLES})
_PART_LISTS: Final = ("parts", "content", "contents", "blocks")
_WRAPPERS: Final = (
    "messages", "choices", "message", "contents", "candidates", "generations", "prompt", "kwargs",
    "items", "completion", "output", "input",
)  # fmt: skip
_MESSAGE_KEYS: Final = frozenset({"role", "type", "system", *_PART_LISTS, *_WRAPPERS})
_CALLS: Final = frozenset(
    {
        "tool_call", "tool_use", "tool-call", "function_call", "function", "server_tool_use",
        "server_tool_call", "mcp_tool_use",
    }
)  # fmt: skip
_CALL_KEYS: Final = (
    "functionCall", "function_call", "toolUse", "tool_use", "tool_call", "toolRequest",
)  # fmt: skip
_ANSWERS: Final = frozenset(
    {
        "tool_call_response", "tool_result", "tool-result", "function_call_output", "tool-return",
        "server_tool_call_response", "mcp_tool_result", "web_search_tool_result",
    }
)  # fmt: skip
_ANSWER_KEYS: Final = (
    "functionResponse", "function_response", "toolResult", "tool_result", "tool_call_result",
    "toolResponse",
)  # fmt: skip
_MESSAGE_PREFIX: Final = "message."
"""Begins the keys of a message in OpenInference's form that was not taken apart."""

_TEXT_KEYS: Final = ("text", "content", "thinking", "reasoning", "message_content.text")
_REASONING_KEYS: Final = ("reasoningContent", "reasoning_content", "reasoningText")
_NOTHING: Final = frozenset({"", "null", '""'})
"""Texts that say that nothing was said."""

_THOUGHT_KEYS: Final = ("reasoning_content", "reasoning", "thinking", "thoughts")
"""Where a model's reasoning stands beside what it said."""

_TEXT_TYPES: Final = frozenset({"text", "input_text", "output_text", "user-prompt"})
_CONTENT_TYPES: Final = {"thinking": "reasoning", "image_url": "image", "input_image": "image"}
_URL_KEYS: Final = ("url", "uri", "image_url", "image")
_BYTES: Final = frozenset({"blob", "file"})
_SAID_BY_MODEL: Final = _CALLS | {"reasoning"}
_ITEM_TYPES: Final = _CALLS | _ANSWERS | {"message", "reasoning", "text", "constructor"}
PART_TYPES: Final = _CALLS | _ANSWERS | _TEXT_TYPES | {*_CONTENT_TYPES, "image", "document"}
_TYPE_KEYS: Final = ("type", "part_kind", "block_type", "message_content.type")
_OF_ANSWERS: Final = frozenset({"role", "name", "tool_call_id", "is_error"})
"""Fields of a message that is nothing but the answers in it."""
_MAX_WRAPPERS = 6


def messages_of(value: JsonValue, role: str) -> list[JsonObject]:
    """
    Read messages in whatever form they came.

    Args:
        value: Text, a JSON string, or a structured value.
        role: The role of a message that does not tell its own.

    Returns:
        The messages in order, at most `MAX_MESSAGES`; empty when there is none.
    """
    found: list[JsonObject] = []
    items = _items(value)
    for item in items if len(items) <= MAX_MESSAGES else items[:MAX_MESSAGES]:
        if isinstance(item, dict):
            plain = _plain(item)
            if plain is None:
                found += _messages(item, role)
            else:
                found.append(plain)
        elif isinstance(item, str) and item:
            found.append({"role": role, "content": item})
    if not found and isinstance(value, str) and _is_plain_object(value):
        # A structured answer that is no message is what the model said.
        found.append({"role": role, "content": value})
    return found if len(found) <= MAX_MESSAGES else found[:MAX_MESSAGES]


def _items(value: JsonValue) -> list[JsonValue]:
    """The messages in *value*, whatever stands around them."""
    if isinstance(value, str):
        if value[:1] not in {"[", "{"}:
            return [value] if value not in _NOTHING else []
        found = parsed(value)
        if found is None:
            # Text may begin with a bracket; JSON that was cut is no message.
            return [] if is_cut(value) else [value]
        value = found
    if isinstance(value, list) and not (value and isinstance(value[0], list)):
        return value
    if isinstance(value, list) and all(map(_is_pair, value)):
        return [{"role": pair[0], "content": pair[1]} for pair in cast("list[list[str]]", value)]
    return _unwrapped(value)


def _unwrapped(value: JsonValue) -> list[JsonValue]:
    leading: list[JsonValue] = []
    for _ in range(_MAX_WRAPPERS):
        if isinstance(value, dict):
            if isinstance(value.get("system"), str) and "role" not in value:
                leading.append({"role": "system", "content": value["system"]})
            wrapper = None if "role" in value or _is_part(value) else first_of(value, _WRAPPERS)
            if wrapper is None:
                return [*leading, value] if value else leading
            value = wrapper
        elif isinstance(value, list) and value and isinstance(value[0], list):
            value = value[0]
        else:
            break
    if isinstance(value, list):
        return [*leading, *value]
    return [*leading, value] if isinstance(value, str) else leading


def _is_pair(value: JsonValue) -> bool:
    """Whether it is a role and a text, as LangChain takes messages."""
    match value:
        case [str() as role, str()]:
            return role in _SPEAKERS
    return False


def _is_plain_object(text: str) -> bool:
    value = parsed(text) if text[:1] == "{" else None
    return isinstance(value, dict) and bool(value) and _MESSAGE_KEYS.isdisjoint(value)


def _plain(item: JsonObject) -> JsonObject | None:
    """The message of an item that is one text and no more; a short cut for the usual one."""
    if len(item) != (3 if "finish_reason" in item else 2):
        return None
    role = item.get("role")
    parts = item.get("parts")
    if parts is None:
        text = item.get("content")
    elif isinstance(parts, list) and len(parts) == 1 and isinstance(part := parts[0], dict):
        text = part.get("content") if part.get("type") == "text" else None
    else:
        return None
    if isinstance(role, str) and isinstance(text, str):
        return {"role": _ROLES.get(role, role), "content": text}
    return None


def _messages(item: JsonObject, role: str) -> list[JsonObject]:
    """The message of one item, and one more for each tool answer that it holds."""
    for wrapper in ("message", "kwargs", "content"):
        inner = item.get(wrapper)
        # A candidate of Gemini holds its message as its content.
        if isinstance(inner, dict) and (wrapper != "content" or "parts" in inner):
            if wrapper == "kwargs":
                role = _role_of_class(item.get("id"), role)
            item = inner
    if "message.role" in item:
        item = {key.removeprefix(_MESSAGE_PREFIX): value for key, value in item.items()}
    named = item.get("role") or item.get("type") or item.get("kind")
    message: JsonObject = {"role": role}
    if isinstance(named, str):
        if named not in _ITEM_TYPES:
            message["role"] = _ROLES.get(named, named)
        elif named in _SAID_BY_MODEL:
            message["role"] = "assistant"
    parts = _Parts()
    if _is_part(item):
        parts.add(item)
    else:
        _read_body(item, message, parts)
        if message["role"] == "tool" and has_failed(item):
            message["is_error"] = True
    return parts.finish(message)


def _role_of_class(path: JsonValue, otherwise: str) -> str:
    """Whose words they are by the class of a message, which LangChain names where it saves one."""
    name = path[-1] if isinstance(path, list) and path else None
    if not isinstance(name, str):
        return otherwise
    return _CLASSES.get(name.removesuffix("Chunk").removesuffix("Message"), otherwise)


def _read_body(item: JsonObject, message: JsonObject, parts: "_Parts") -> None:
    more = item.get("additional_kwargs")
    whole = {**more, **item} if isinstance(more, dict) else item
    body = first_of(item, _PART_LISTS)
    thought = first_of(whole, _THOUGHT_KEYS)
    if isinstance(thought, str) and thought and not isinstance(body, list | dict):
        # The others name their thoughts among their parts as well.
        parts.contents.append({"type": "reasoning", "text": thought})
        body = [body] if isinstance(body, str) and body else []
    if isinstance(body, list):
        for part in body:
            parts.add(part)
    elif isinstance(body, dict):
        parts.add(body)
    elif body is not None:
        message["content"] = as_text(body)
    elif isinstance(item.get("text"), str):
        message["content"] = item["text"]
    if not parts.calls:
        # Some tell a call both among the parts and beside them.
        parts.calls += [call_of(call) for call in _calls_beside(item) if isinstance(call, dict)]
    answered = first_of(whole, ID_KEYS[1:])
    if answered is not None:
        message["tool_call_id"] = as_text(answered)
    if isinstance(item.get("name"), str):
        message["name"] = item["name"]


def _calls_beside(item: JsonObject) -> list[JsonValue]:
    """The tool calls that stand beside a message's content."""
    more = item.get("additional_kwargs")
    calls = item.get("tool_calls") or item.get("toolCalls")
    if not calls and isinstance(more, dict):
        calls = more.get("tool_calls")
    return calls if isinstance(calls, list) else [item.get("function_call")]


class _Parts:
    """The parts of one message, sorted by what they are."""

    def __init__(self) -> None:
        self.contents: list[JsonValue] = []
        self.calls: list[JsonValue] = []
        self.answers: list[JsonObject] = []

    def add(self, part: JsonValue) -> None:
        if isinstance(part, str):
            self.contents.append({"type": "text", "text": part})
        if not isinstance(part, dict):
            return
        kind = first_of(part, _TYPE_KEYS)
        if not isinstance(kind, str):
            kind = ""
        if kind in _CALLS or "tool.name" in part:
            self.calls.append(call_of(part))
        elif kind in _ANSWERS:
            self.answers.append(answer_of(part))
        elif isinstance(inner := first_of(part, _CALL_KEYS), dict):
            self.calls.append(call_of(inner))
        elif isinstance(inner := first_of(part, _ANSWER_KEYS), dict):
            self.answers.append(answer_of(inner))
        elif (thought := _thought(part)) is not None:
            self.contents.append({"type": "reasoning", "text": thought})
        else:
            self._add_content(part, kind)

    def _add_content(self, part: JsonObject, kind: str) -> None:
        text = first_of(part, _TEXT_KEYS)
        content: JsonObject = {
            "type": "text" if not kind or kind in _TEXT_TYPES else _CONTENT_TYPES.get(kind, kind)
        }
        url = first_of(part, _URL_KEYS)
        if isinstance(url, dict):
            url = first_of(url, _URL_KEYS)
        summary = part.get("summary")
        if text is None and isinstance(summary, list):
            text = result_text(summary)
        if isinstance(text, str) and kind not in _BYTES:
            content["text"] = text
        elif isinstance(url, str):
            content["image.image.url"] = url
        elif len(part) <= 1 or summary == []:
            # A type alone says nothing.
            return
        self.contents.append(content)

    def finish(self, message: JsonObject) -> list[JsonObject]:
        """The message with its parts, then the answers as messages of their own."""
        if self.answers and self.contents:
            # Some tell a tool's answer as a text as well.
            answered = [{"type": "text", "text": answer["content"]} for answer in self.answers]
            self.contents = [part for part in self.contents if part not in answered]
        match self.contents:
            case []:
                pass
            case [{"type": "text", "text": str() as text}]:
                message["content"] = text
            case _:
                message["contents"] = self.contents
        if self.calls:
            message["tool_calls"] = self.calls
        if message.keys() <= _OF_ANSWERS:
            if message["role"] == "tool":
                for answer in self.answers:
                    for name, value in message.items():
                        answer.setdefault(name, value)
            return self.answers
        return [message, *self.answers]


def _thought(part: JsonObject) -> str | None:
    """The reasoning of a part that wraps it, once as LangChain does or twice as Bedrock."""
    inner: JsonValue = part
    if part.get("thought") is True:
        # Gemini marks its reasoning beside the text.
        inner = {"text": part.get("text")}
    for _ in _REASONING_KEYS:
        if isinstance(inner, dict) and (wrapped := first_of(inner, _REASONING_KEYS)) is not None:
            inner = wrapped
    if isinstance(inner, dict):
        inner = None if inner is part else inner.get("text")
    return inner if isinstance(inner, str) else None


def _is_part(item: JsonObject) -> bool:
    kind = item.get("type")
    return "role" not in item and (
        "tool.name" in item or (isinstance(kind, str) and kind in _ITEM_TYPES)
    )


def _reader(role: str) -> Reader:
    def read(value: JsonValue) -> JsonValue:
        # Not `cast`, which is a call: this runs for each list of messages.
        found: list[Any] = messages_of(value, role)
        return found or None

    return Reader(read, "messages in any form")


def _called(value: JsonValue) -> str | None:
    """The arguments of the tool call that messages hold; any other value as it is."""
    for message in messages_of(value, "tool") if _may_be_messages(value) else ():
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            arguments = call.get("function.arguments") if isinstance(call, dict) else None
            if isinstance(arguments, str):
                return arguments
    return as_text(value) or None


def _answered(value: JsonValue) -> str | None:
    """The tool's answers that messages hold; any other value as it is."""
    found = [
        message
        for message in (messages_of(value, "tool") if _may_be_messages(value) else ())
        if "tool_call_id" in message
    ]
    texts = [text for message in found if isinstance(text := message.get("content"), str)]
    return "\n".join(texts) or as_text(value) or None


def _may_be_messages(value: JsonValue) -> bool:
    """Whether *value* is of a form that holds parts of messages, and not a tool's own value."""
    if isinstance(value, str):
        return value.startswith("[") and '"role"' in value and '"parts"' in value
    return isinstance(value, list)


CALLED: Final[Reader] = Reader(_called, "the arguments of the call in messages, or as text")
ANSWERED: Final[Reader] = Reader(_answered, "the answers in messages, or as text")
INPUT: Final[Reader] = _reader("user")
OUTPUT: Final[Reader] = _reader("assistant")
SYSTEM: Final[Reader] = _reader("system")
