"""What a span says: the messages of a model call, the arguments and the result of a tool call."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, cast

import orjson

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span

_OUTPUT_PREFIX = "llm.output_messages."
_TOOLS_PREFIX = "llm.tools."
_FINISH_KEYS = (
    "gen_ai.response.finish_reasons",
    "llm.finish_reason",
    "llm.finish_reasons",
    "gen_ai.response.finish_reason",
    "gen_ai.completion.0.finish_reason",
    "ai.response.finishReason",
    "finish_reason",
    "stop_reason",
)
_ARGUMENT_KEYS = ("input.value", "gen_ai.tool.call.arguments", "tool.parameters")
_RESULT_KEYS = ("output.value", "gen_ai.tool.call.result")
_MAX_PARSED_CHARS = 200_000


class Text(NamedTuple):
    """A text and the attribute that holds it; both empty when there is none."""

    attribute: str
    value: str


class RequestedCall(NamedTuple):
    """A tool call that a model asked for."""

    call_id: str
    name: str
    arguments: Text


class OfferedTool(NamedTuple):
    """A tool that a model could choose."""

    name: str
    parameters: JsonObject | None
    """JSON Schema of its arguments; None when not recorded."""


class ModelCall(NamedTuple):
    """One LLM span, read once."""

    span: Span
    answer: Text
    """What the model said, first output message that has text."""
    requested: tuple[RequestedCall, ...]
    finish_reason: Text
    offered: tuple[OfferedTool, ...]
    """Empty when the span does not record an offer."""


def parse_json(text: str) -> JsonValue:
    """Parse *text*; None when it is not JSON or longer than 200,000 characters."""
    if len(text) > _MAX_PARSED_CHARS:
        return None
    try:
        return cast("JsonValue", orjson.loads(text))
    except orjson.JSONDecodeError:
        return None


def text_of(value: JsonValue) -> str:
    """A string as it is, anything else as compact JSON; ``""`` for None."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


_MAX_TOKENS = 10**9
_MAX_USD = 1e6


def used_tokens(span: Span) -> tuple[int, int]:
    """Input and output tokens of a model call; what no call can have counts as 0."""
    used = span.input_tokens or 0, span.output_tokens or 0
    return used if min(used) >= 0 and max(used) <= _MAX_TOKENS else (0, 0)


def used_usd(span: Span) -> float | None:
    """Cost of a model call in dollars; None when unknown, and where no call can cost that."""
    cost = span.cost_usd
    return cost if cost is not None and 0 <= cost <= _MAX_USD else None


def first_text(span: Span, keys: tuple[str, ...]) -> Text:
    """The first of *keys* that has a value that is not empty."""
    for key in keys:
        value = text_of(span.attributes.get(key))
        if value:
            return Text(key, value)
    return Text("", "")


def tool_arguments(span: Span) -> Text:
    """Arguments of the call that a TOOL span ran."""
    return first_text(span, _ARGUMENT_KEYS)


def tool_result(span: Span) -> Text:
    """Result of the call that a TOOL span ran."""
    return first_text(span, _RESULT_KEYS)


def records_result(span: Span) -> bool:
    """Whether the span says what came out, be it empty."""
    return any(key in span.attributes for key in _RESULT_KEYS)


def read_model_call(span: Span) -> ModelCall:
    """Read the output messages, the finish reason and the offered tools of an LLM span."""
    answer = Text("", "")
    calls: dict[tuple[int, int], dict[str, Text]] = {}
    offered: list[OfferedTool] = []
    for key, value in span.attributes.items():
        if key.startswith(_OUTPUT_PREFIX):
            if not isinstance(value, str):
                continue
            if not answer.value and key.endswith(("message.content", "message_content.text")):
                answer = Text(key, value)
            elif ".tool_call." in key:
                _take_call_part(calls, key, value)
        elif key.startswith(_TOOLS_PREFIX):
            offered += _offered_from(text_of(value))
    if not offered:
        offered = list(_offered_from(text_of(span.attributes.get("gen_ai.tool.definitions"))))
    if not answer.value:
        answer = _answer_from_output(span)
    return ModelCall(span, answer, _in_order(calls), _finish_reason(span), tuple(offered))


def _take_call_part(calls: dict[tuple[int, int], dict[str, Text]], key: str, value: str) -> None:
    parts = key.split(".")
    try:
        place = (int(parts[2]), int(parts[5]))
    except (IndexError, ValueError):
        return
    calls.setdefault(place, {})[parts[-1]] = Text(key, value)


def _in_order(calls: dict[tuple[int, int], dict[str, Text]]) -> tuple[RequestedCall, ...]:
    empty = Text("", "")
    return tuple(
        RequestedCall(
            call_id=part.get("id", empty).value,
            name=part.get("name", empty).value,
            arguments=part.get("arguments", empty),
        )
        for _, part in sorted(calls.items())
    )


def _answer_from_output(span: Span) -> Text:
    output = span.text("output.value")
    return Text("output.value", output) if output and output[0] not in "{[" else Text("", "")


def _finish_reason(span: Span) -> Text:
    for key in _FINISH_KEYS:
        value = span.attributes.get(key)
        if isinstance(value, list):
            value = next((item for item in value if isinstance(item, str)), None)
        if isinstance(value, str) and value:
            return Text(key, _bare(value))
    return Text("", "")


def _bare(reason: str) -> str:
    """A reason that may come as the JSON text of a list: ``["length"]``."""
    if reason[0] == "[":
        parsed = parse_json(reason)
        if isinstance(parsed, list) and parsed and isinstance(parsed[0], str):
            return parsed[0]
    return reason


@lru_cache(maxsize=512)
def _offered_from(definition: str) -> tuple[OfferedTool, ...]:
    """Read one tool definition or a list of them; empty when there is no name to be found."""
    return tuple(_offers(parse_json(definition))) if definition else ()


def _offers(value: JsonValue) -> Iterator[OfferedTool]:
    if isinstance(value, list):
        for item in value:
            yield from _offers(parse_json(item) if isinstance(item, str) else item)
    elif isinstance(value, dict):
        function = value.get("function")
        described = function if isinstance(function, dict) else value
        name = described.get("name")
        if isinstance(name, str) and name:
            schema = described.get("parameters") or described.get("input_schema")
            yield OfferedTool(name, schema if isinstance(schema, dict) else None)


def canonical_arguments(text: str) -> str:
    """
    Write arguments in one form: keys sorted, ``1.0`` as ``1``, white space folded.

    Text that is not JSON only has its white space folded.
    """
    parsed = parse_json(text) if text[:1] in "{[" else None
    if parsed is None:
        return " ".join(text.split())
    return orjson.dumps(_normal(parsed), option=orjson.OPT_SORT_KEYS).decode()


def _normal(value: JsonValue) -> JsonValue:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    return value
