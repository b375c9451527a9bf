"""Calls of tools and what came of them, as messages hold them in every framework's words."""

from typing import Final, cast

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.readers import as_text

ID_KEYS: Final = (
    "id", "tool_call_id", "toolCallId", "call_id", "tool_use_id", "toolUseId", "ref",
    "tool_call.id",
)  # fmt: skip
_NAME_KEYS: Final = ("name", "tool_name", "toolName", "tool.name", "tool_call.function.name")
_ARGUMENT_KEYS: Final = (
    "arguments", "args", "input", "parameters", "tool.args", "tool_kwargs", "server_tool_call",
    "tool_call.function.arguments",
)  # fmt: skip
_RESULT_KEYS: Final = (
    "response", "result", "output", "content", "text", "server_tool_call_response",
)  # fmt: skip


def call_of(part: JsonObject) -> JsonObject:
    """A tool call, under the names of OpenInference."""
    function = part.get("function")
    inner = function if isinstance(function, dict) else part
    call: JsonObject = {}
    for name, source, keys in (
        ("id", part, ID_KEYS),
        ("function.name", inner, _NAME_KEYS),
        ("function.arguments", inner, _ARGUMENT_KEYS),
    ):
        value = first_of(source, keys)
        if value is not None:
            call[name] = as_text(value)
    return call


def answer_of(part: JsonObject) -> JsonObject:
    """What a tool answered, as a message."""
    answer: JsonObject = {"role": "tool", "content": result_text(first_of(part, _RESULT_KEYS))}
    called = first_of(part, ID_KEYS)
    if called is not None:
        answer["tool_call_id"] = as_text(called)
    name = first_of(part, _NAME_KEYS)
    if isinstance(name, str) and name:
        answer["name"] = name
    if has_failed(part):
        answer["is_error"] = True
    return answer


def has_failed(answer: JsonObject) -> bool:
    """Whether a tool's answer is marked as a failure, as Anthropic, Bedrock and the AI SDK do."""
    output = answer.get("output")
    kind = output.get("type") if isinstance(output, dict) else None
    return (
        answer.get("is_error") is True
        or answer.get("isError") is True
        or answer.get("status") == "error"
        or (isinstance(kind, str) and kind.startswith("error-"))
    )


def result_text(result: JsonValue) -> str:
    """A tool's answer: the text of its parts where it has no others, else as it is."""
    if isinstance(result, dict) and result.keys() == {"type", "value"}:
        result = result["value"]
    if isinstance(result, list) and result:
        texts = [part.get("text") if isinstance(part, dict) else part for part in result]
        if all(isinstance(text, str) for text in texts):
            return "\n".join(cast("list[str]", texts))
    return as_text(result)


def first_of(fields: JsonObject, keys: tuple[str, ...]) -> JsonValue:
    """The first of *keys* with a value that is not null."""
    for key in keys:
        value = fields.get(key)
        if value is not None:
            return value
    return None
