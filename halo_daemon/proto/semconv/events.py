"""Messages that stand in span events instead of attributes."""

from typing import Final

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.messages import messages_of
from halo_daemon.proto.semconv.readers import Reader, as_text, is_cut, parsed
from halo_daemon.proto.semconv.targets import (
    FINISH_REASONS,
    INPUT_MESSAGES,
    INPUT_VALUE,
    OUTPUT_MESSAGES,
    OUTPUT_VALUE,
    SCORE_LABEL,
    SCORE_NAME,
    SCORE_REASON,
    SCORE_VALUE,
    TOOL,
    TOOL_PARAMETERS,
)

_ROLES: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}
"""One message an event; of them `gen_ai.choice` is an answer, the others were asked."""

_CHOICE: Final = "gen_ai.choice"
_WHOLE: Final = {
    "gen_ai.input.messages": INPUT_MESSAGES,
    "gen_ai.output.messages": OUTPUT_MESSAGES,
    "gen_ai.prompt": INPUT_MESSAGES,
    "gen_ai.completion": OUTPUT_MESSAGES,
}
"""All messages of one direction in one attribute of an event."""

_DEFAULT_ROLES: Final = {INPUT_MESSAGES: "user", OUTPUT_MESSAGES: "assistant"}
_WHOLE_EVENTS: Final = frozenset(
    {
        "gen_ai.client.inference.operation.details",
        "gen_ai.content.prompt",
        "gen_ai.content.completion",
    }
)
_EVALUATION: Final = "gen_ai.evaluation.result"
_SCORES: Final = (SCORE_NAME, SCORE_VALUE, SCORE_LABEL, SCORE_REASON)
_BODY_KEYS: Final = ("content", "message", "body")


def fields_of_events(events: list[JsonObject], kind: str) -> dict[str, JsonValue]:
    """What the events of a span of that kind tell, by field; empty when nothing."""
    found: dict[str, list[JsonObject]] = {INPUT_MESSAGES: [], OUTPUT_MESSAGES: []}
    reasons: list[JsonValue] = []
    scores: dict[str, JsonValue] = {}
    for event in events:
        name, attributes = event["name"], event["attributes"]
        if not isinstance(attributes, dict):
            continue
        if name in _ROLES:
            target = OUTPUT_MESSAGES if name == _CHOICE else INPUT_MESSAGES
            reason = attributes.get("finish_reason")
            if name == _CHOICE and isinstance(reason, str):
                reasons.append(reason)
            found[target] += _message(str(name), attributes)
        elif name in _WHOLE_EVENTS:
            for key, target in _WHOLE.items():
                found[target] += messages_of(attributes.get(key), _DEFAULT_ROLES[target])
        elif name == _EVALUATION and not scores:
            scores = {key: attributes[key] for key in _SCORES if attributes.get(key) is not None}
    if kind == TOOL:
        return _tool_fields(found) | scores
    fields: dict[str, JsonValue] = {
        target: [*messages] for target, messages in found.items() if messages
    }
    return fields | scores | ({FINISH_REASONS: reasons} if reasons else {})


def is_any_cut(events: list[JsonObject]) -> bool:
    """Whether a message in an event arrived as JSON that was cut."""
    return any(
        is_cut(value)
        for event in events
        if event["name"] in _ROLES or event["name"] in _WHOLE_EVENTS
        for value in (event["attributes"].values() if isinstance(event["attributes"], dict) else ())
    )


def _tool_fields(found: dict[str, list[JsonObject]]) -> dict[str, JsonValue]:
    """On a tool's own span the message is its arguments, and the choice its answer."""
    fields: dict[str, JsonValue] = {}
    for targets, messages in (
        ((TOOL_PARAMETERS, INPUT_VALUE), found[INPUT_MESSAGES]),
        ((OUTPUT_VALUE,), found[OUTPUT_MESSAGES]),
    ):
        text = "\n".join(_texts(messages))
        if text:
            fields.update(dict.fromkeys(targets, text))
    return fields


def _texts(messages: list[JsonObject]) -> list[str]:
    texts: list[str] = []
    for message in messages:
        contents = message.get("contents")
        for part in contents if isinstance(contents, list) else [{"text": message.get("content")}]:
            text = part.get("text") if isinstance(part, dict) else None
            if isinstance(text, str) and text:
                texts.append(text)
    return texts


def _message(name: str, attributes: JsonObject) -> list[JsonObject]:
    """The message of one event; its content may be JSON in text."""
    body: JsonObject = dict(attributes)
    for key in _BODY_KEYS:
        value = body.get(key)
        if isinstance(value, str) and value[:1] in {"[", "{"}:
            inner = parsed(value)
            if inner is not None:
                body[key] = inner
    inner = body.pop("message", body.pop("body", None))
    if inner is not None and "content" not in body:
        body = {**body, **inner} if isinstance(inner, dict) else {**body, "content": inner}
    if name == "gen_ai.tool.message" and isinstance(body.get("id"), str):
        body["tool_call_id"] = body["id"]
    if isinstance(body.get("content"), dict):
        body["content"] = as_text(body["content"])
    role = body.get("role")
    return messages_of([body], role if isinstance(role, str) else _ROLES[name])


def _from_list(target: str) -> Reader:
    """Read a list of events that stands in an attribute, as pydantic-ai writes it."""

    def read(value: JsonValue) -> JsonValue:
        events = parsed(value)
        found: list[JsonValue] = []
        for event in events if isinstance(events, list) else ():
            name = event.get("event.name") if isinstance(event, dict) else None
            if isinstance(event, dict) and isinstance(name, str) and name in _ROLES:
                is_output = name == _CHOICE
                if is_output == (target == OUTPUT_MESSAGES):
                    found += _message(name, event)
        return found or None

    return Reader(read, "a list of GenAI events, as a JSON string")


LISTED_INPUT = _from_list(INPUT_MESSAGES)
LISTED_OUTPUT = _from_list(OUTPUT_MESSAGES)
