"""What a span says: the messages of a model call, the arguments and the result of a tool call."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import orjson

from halo_daemon.analyzer.span_shape import SpanShape
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span

_ARGUMENT_KEYS = ("input.value", "gen_ai.tool.call.arguments", "tool.parameters")
_RESULT_KEYS = ("output.value", "gen_ai.tool.call.result")
_MAX_PARSED_CHARS = 200_000
_WRAPPERS = ("toolSpec", "data")
"""What a tool's definition is wrapped in by Bedrock and Haystack."""
_SCHEMAS = (
    *("parameters", "input_schema", "inputSchema", "parameters_json_schema"),
    *("parametersJsonSchema", "parameters_schema"),
)
_FLOAT = re.compile("[0-9][.eE]")
"""In every JSON text with a number that is no integer."""


class Text(NamedTuple):
    """A text and the attribute that holds it; both empty when there is none."""

    attribute: str
    value: str


NO_TEXT = Text("", "")


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
    agent: str
    """Masked."""
    shape: SpanShape
    used: "Used"
    model: str
    """The served model, else the requested one; ``""`` when unknown."""


def parse_json(text: str) -> JsonValue:
    """Parse *text*; None when it is not JSON or longer than 200,000 characters."""
    if len(text) > _MAX_PARSED_CHARS:
        return None
    try:
        parsed: JsonValue = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return parsed


def text_of(value: JsonValue) -> str:
    """A string as it is, anything else as compact JSON; ``""`` for None."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


_MAX_TOKENS = 10**9
_MAX_USD = 1e6


def used_tokens(span: Span) -> tuple[int, int]:
    """Input and output tokens of a model call; what no call can have counts as 0."""
    return _possible_tokens(span.input_tokens, span.output_tokens)


def _possible_tokens(stated_input: int | None, stated_output: int | None) -> tuple[int, int]:
    prompt, written = stated_input or 0, stated_output or 0
    return (prompt, written) if 0 <= prompt <= _MAX_TOKENS >= written >= 0 else (0, 0)


def used_usd(span: Span) -> float | None:
    """Cost of a model call in dollars; None when unknown, and where no call can cost that."""
    return _possible_usd(span.cost_usd)


def _possible_usd(cost: float | None) -> float | None:
    return cost if cost is not None and 0 <= cost <= _MAX_USD else None


class Used(NamedTuple):
    """What one model call used; what no call can have counts as unknown."""

    input_tokens: int
    """0 when unknown, as for output tokens."""
    output_tokens: int
    usd: float | None


NOTHING_USED = Used(0, 0, None)


def used_by(span: Span) -> Used:
    """Tokens and cost of *span*; most spans are no model calls and have none."""
    # As the properties of a span have it, without their calls: of most spans all are None.
    stated = span.attributes.get
    if (
        stated("inference.llm.input_tokens") is None
        and stated("inference.llm.output_tokens") is None
        and stated("inference.llm.cost.total") is None
    ):
        return NOTHING_USED
    tokens = _possible_tokens(span.input_tokens, span.output_tokens)
    return Used(*tokens, _possible_usd(span.cost_usd))


def first_text(span: Span, keys: tuple[str, ...]) -> Text:
    """The first of *keys* that has a value that is not empty."""
    attributes = span.attributes
    for key in keys:
        value = attributes.get(key)
        # Most are absent, and the others are strings.
        if value is not None and (text := value if isinstance(value, str) else text_of(value)):
            return Text(key, text)
    return NO_TEXT


def tool_arguments(span: Span) -> Text:
    """Arguments of the call that a TOOL span ran."""
    return first_text(span, _ARGUMENT_KEYS)


def tool_result(span: Span) -> Text:
    """Result of the call that a TOOL span ran."""
    return first_text(span, _RESULT_KEYS)


def call_id_of_span(span: Span) -> str:
    """The id by which a model asked for the call that a TOOL span ran; ``""`` when not recorded."""
    return span.text("tool.id") or span.text("gen_ai.tool.call.id")


@lru_cache(maxsize=4_096)
def bare_name(name: str) -> str:
    """A tool's name without the prefix that a framework or a server puts before it."""
    for separator in ("__", ".", "/", ":"):
        name = name.rpartition(separator)[2] or name
    return name.casefold()


def records_result(span: Span) -> bool:
    """Whether the span says what came out, be it empty."""
    return any(key in span.attributes for key in _RESULT_KEYS)


def read_model_call(span: Span, shape: SpanShape, agent: str, used: Used) -> ModelCall:
    """Read the output messages, the finish reason and the offered tools of an LLM span."""
    attributes = span.attributes
    return ModelCall(
        span,
        _answer(attributes, shape),
        _requested(attributes, shape) if shape.calls else (),
        _finish_reason(attributes, shape),
        _offered(attributes, shape),
        agent,
        shape,
        used,
        span.model,
    )


def _answer(attributes: JsonObject, shape: SpanShape) -> Text:
    for key in shape.answers:
        value = attributes[key]
        if value and isinstance(value, str):
            return Text(key, value)
    output = attributes.get("output.value")
    if output and isinstance(output, str) and output[0] not in "{[":
        return Text("output.value", output)
    return NO_TEXT


def _requested(attributes: JsonObject, shape: SpanShape) -> tuple[RequestedCall, ...]:
    found = []
    for parts in shape.calls:
        told = {
            part: (key, value) for part, key in parts if isinstance(value := attributes[key], str)
        }
        if told:
            (_, call_id), (_, name) = told.get("id", NO_TEXT), told.get("name", NO_TEXT)
            found.append(RequestedCall(call_id, name, Text(*told.get("arguments", NO_TEXT))))
    return tuple(found)


def _offered(attributes: JsonObject, shape: SpanShape) -> tuple[OfferedTool, ...]:
    if shape.tools:
        listed = [tool for key in shape.tools for tool in _offered_from(text_of(attributes[key]))]
        if listed:
            return tuple(listed)
    definitions = attributes.get("gen_ai.tool.definitions")
    return _offered_from(text_of(definitions)) if definitions is not None else ()


def _finish_reason(attributes: JsonObject, shape: SpanShape) -> Text:
    for key in shape.finish:
        value = attributes[key]
        if isinstance(value, list):
            strings = [item for item in value if isinstance(item, str)]
            value = strings[0] if strings else None
        if isinstance(value, str) and value:
            return Text(key, _bare(value))
    return NO_TEXT


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
        described = _described(value)
        name = described.get("name")
        if isinstance(name, str) and name:
            yield OfferedTool(name, _schema(described))


def _described(definition: JsonObject) -> JsonObject:
    """What names the tool and its arguments: the definition itself, or what it wraps."""
    function = definition.get("function")
    if isinstance(function, dict):
        return function
    if "name" not in definition:
        for key in _WRAPPERS:
            wrapped = definition.get(key)
            if isinstance(wrapped, dict):
                return wrapped
    return definition


def _schema(definition: JsonObject) -> JsonObject | None:
    """The schema of a tool's arguments, by any of the names that it goes by."""
    for key in _SCHEMAS:
        schema = definition.get(key)
        if isinstance(schema, dict) and schema:
            inner = schema.get("json")
            # Bedrock puts it into one more object.
            return inner if isinstance(inner, dict) and len(schema) == 1 else schema
    return None


def canonical_arguments(text: str) -> str:
    """
    Write arguments in one form: keys sorted, ``1.0`` as ``1``, white space folded.

    Text that is not JSON only has its white space folded.
    """
    parsed = parse_json(text) if text[:1] in "{[" else None
    if parsed is None:
        return " ".join(text.split())
    if _FLOAT.search(text) is None:
        return orjson.dumps(parsed, option=orjson.OPT_SORT_KEYS).decode()
    return orjson.dumps(_normal(parsed), option=orjson.OPT_SORT_KEYS).decode()


def _normal(value: JsonValue) -> JsonValue:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    return value
