"""Messages that stand in span events instead of attributes."""

from operator import itemgetter
from typing import Final

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.listed import listed_documents
from halo_daemon.proto.semconv.messages import messages_of
from halo_daemon.proto.semconv.readers import Reader, as_text, is_cut, parsed
from halo_daemon.proto.semconv.targets import (
    DOCUMENTS,
    FINISH_REASONS,
    INPUT_MESSAGES,
    INPUT_VALUE,
    OUTPUT_MESSAGES,
    OUTPUT_VALUE,
    RETRIEVER,
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
_ASSISTANT: Final = "gen_ai.assistant.message"
_WHOLE: Final = {
    "gen_ai.input.messages": INPUT_MESSAGES,
    "gen_ai.output.messages": OUTPUT_MESSAGES,
    "gen_ai.prompt": INPUT_MESSAGES,
    "gen_ai.completion": OUTPUT_MESSAGES,
}
"""All messages of one direction in one attribute of an event."""

_DEFAULT_ROLES: Final = {INPUT_MESSAGES: "user", OUTPUT_MESSAGES: "assistant"}
_WHOLE_EVENTS: Final[dict[str, dict[str, str]]] = {
    "gen_ai.content.prompt": _WHOLE,
    "gen_ai.content.completion": _WHOLE,
}
"""Events with all messages of a direction, and the attributes that hold them."""

_EVALUATION: Final = "gen_ai.evaluation.result"
_SCORES: Final = (SCORE_NAME, SCORE_VALUE, SCORE_LABEL, SCORE_REASON)
_BODY_KEYS: Final = ("content", "message", "body", "gen_ai.event.content")
_TOOL_OUTPUT: Final = "tool.output"
_OUTPUT_KEYS: Final = ("output", "content", "diff")
_DOCUMENT_EVENTS: Final = ("db.query.result", "db.search.result")
"""One document that a vector store found, an event; its fields bear that prefix."""


def fields_of_events(events: list[JsonObject], kind: str) -> dict[str, JsonValue]:
    """What the events of a span of that kind tell, by field; empty when nothing."""
    found = _Found()
    for event in events:
        attributes = event["attributes"]
        if isinstance(attributes, dict):
            found.add(str(event["name"]), attributes)
    found.take_choices()
    return found.on_tool() if kind == TOOL else found.on_others(kind)


class _Found:
    """What was found in the events of one span so far."""

    def __init__(self) -> None:
        self._messages: dict[str, list[JsonObject]] = {INPUT_MESSAGES: [], OUTPUT_MESSAGES: []}
        self._choices: list[tuple[int, JsonObject]] = []
        self._reasons: list[JsonValue] = []
        self._documents: list[JsonValue] = []
        self._outputs: list[str] = []
        self._scores: dict[str, JsonValue] = {}

    def add(self, name: str, attributes: JsonObject) -> None:
        """Look at one event more."""
        if name in _ROLES:
            self._add_message(name, _body(attributes))
        elif name in _WHOLE_EVENTS:
            for key, target in _WHOLE_EVENTS[name].items():
                self._messages[target] += messages_of(attributes.get(key), _DEFAULT_ROLES[target])
        elif name in _DOCUMENT_EVENTS:
            fields = {key.removeprefix(f"{name}."): value for key, value in attributes.items()}
            self._documents += listed_documents([fields])
        elif name == _TOOL_OUTPUT:
            said = (attributes.get(key) for key in _OUTPUT_KEYS)
            self._outputs += [as_text(value) for value in said if value][:1]
        elif name == _EVALUATION and not self._scores:
            scores = {key: attributes.get(key) for key in _SCORES}
            self._scores = {key: value for key, value in scores.items() if value is not None}

    def on_others(self, kind: str) -> dict[str, JsonValue]:
        """The fields of a span that is no tool."""
        fields: dict[str, JsonValue] = {
            target: [*messages] for target, messages in self._messages.items() if messages
        }
        # On others they would make a retriever of the span when it is read again.
        if self._documents and kind == RETRIEVER:
            fields[DOCUMENTS] = self._documents
        if self._reasons:
            fields[FINISH_REASONS] = self._reasons
        return fields | self._scores

    def on_tool(self) -> dict[str, JsonValue]:
        """On a tool's own span the message is its arguments, and the choice its answer."""
        arguments = "\n".join(_texts(self._messages[INPUT_MESSAGES]))
        answer = "\n".join(_texts(self._messages[OUTPUT_MESSAGES]) or self._outputs)
        fields: dict[str, JsonValue] = {}
        if arguments:
            fields |= dict.fromkeys((TOOL_PARAMETERS, INPUT_VALUE), arguments)
        if answer:
            fields[OUTPUT_VALUE] = answer
        return fields | self._scores

    def _add_message(self, name: str, body: JsonObject) -> None:
        if name != _CHOICE:
            self._messages[INPUT_MESSAGES] += _message(name, body)
            return
        index = body.get("index")
        self._choices.append((index if isinstance(index, int) else len(self._choices), body))

    def take_choices(self) -> None:
        """Add the answers in the order of their numbers, in which they need not have come."""
        for _, body in sorted(self._choices, key=itemgetter(0)):
            reason = body.get("finish_reason")
            if isinstance(reason, str):
                self._reasons.append(reason)
            self._messages[OUTPUT_MESSAGES] += _message(_CHOICE, body)


def is_any_cut(events: list[JsonObject]) -> bool:
    """Whether a message in an event arrived as JSON that was cut."""
    return any(
        is_cut(value)
        for event in events
        if event["name"] in _ROLES or event["name"] in _WHOLE_EVENTS
        for value in (event["attributes"].values() if isinstance(event["attributes"], dict) else ())
    )


def _texts(messages: list[JsonObject]) -> list[str]:
    texts: list[str] = []
    for message in messages:
        contents = message.get("contents")
        for part in contents if isinstance(contents, list) else [{"text": message.get("content")}]:
            text = part.get("text") if isinstance(part, dict) else None
            if isinstance(text, str) and text:
                texts.append(text)
    return texts


def _body(attributes: JsonObject) -> JsonObject:
    """The fields of an event's message; some or all of them may be JSON in text."""
    body: JsonObject = dict(attributes)
    for key in _BODY_KEYS:
        value = body.get(key)
        if isinstance(value, str) and value[:1] in {"[", "{"}:
            inner = parsed(value)
            if inner is not None:
                body[key] = inner
    whole = body.pop("gen_ai.event.content", None)
    return {**body, **whole} if isinstance(whole, dict) else body


def _message(name: str, body: JsonObject) -> list[JsonObject]:
    """The message of one event, by its fields."""
    body = dict(body)
    inner = body.pop("message", body.pop("body", None))
    if inner is not None and "content" not in body:
        body = {**body, **inner} if isinstance(inner, dict) else {**body, "content": inner}
    if name == "gen_ai.tool.message" and isinstance(body.get("id"), str):
        body["tool_call_id"] = body["id"]
    content = body.get("content")
    if isinstance(content, dict) and "parts" in content:
        # Gemini's whole message stands where its text should.
        del body["content"]
        body |= content
    elif isinstance(content, dict):
        # Azure's agents wrap a text twice.
        text = content.get("text")
        said = text.get("value") if isinstance(text, dict) else text
        body["content"] = said if isinstance(said, str) else as_text(content)
    role = body.get("role")
    return messages_of([body], role if isinstance(role, str) else _ROLES[name])


def _listed(value: JsonValue) -> list[tuple[str, JsonObject]]:
    """The messages of a list of events: the name of each, and its fields."""
    events = parsed(value)
    found: list[tuple[str, JsonObject]] = []
    for event in events if isinstance(events, list) else ():
        name = event.get("event.name") if isinstance(event, dict) else None
        if isinstance(event, dict) and isinstance(name, str) and name in _ROLES:
            found.append((name, event))
    return found


def _are_answers(listed: list[tuple[str, JsonObject]]) -> list[bool]:
    """
    Of each event whether it is what the call gave: a choice.

    Without any, what the model says at the end, as Logfire lists the answers of OpenAI's
    Responses.
    """
    if any(name == _CHOICE for name, _ in listed):
        return [name == _CHOICE for name, _ in listed]
    asked = len(listed)
    while asked and listed[asked - 1][0] == _ASSISTANT:
        asked -= 1
    return [place >= asked for place in range(len(listed))]


def _from_list(target: str) -> Reader:
    """Read a list of events that stands in an attribute, as pydantic-ai writes it."""

    def read(value: JsonValue) -> JsonValue:
        listed = _listed(value)
        found: list[JsonValue] = []
        for (name, event), is_answer in zip(listed, _are_answers(listed), strict=True):
            if is_answer == (target == OUTPUT_MESSAGES):
                found += _message(name, _body(event))
        return found or None

    return Reader(read, "a list of GenAI events, as a JSON string")


def _all_listed(value: JsonValue) -> JsonValue:
    found: list[JsonValue] = []
    for name, event in _listed(value):
        found += _message(name, _body(event))
    return found or None


LISTED_INPUT: Final[Reader] = _from_list(INPUT_MESSAGES)
LISTED_OUTPUT: Final[Reader] = _from_list(OUTPUT_MESSAGES)
LISTED_ALL: Final[Reader] = Reader(
    _all_listed, "a list of GenAI events, as a JSON string, answers too"
)
