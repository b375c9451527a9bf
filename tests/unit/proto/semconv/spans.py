"""Attributes in, canonical attributes out, for tests of the mapping."""

from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.conformance.requests import base_span, request_of
from tests.unit.proto.decoding import attributes, from_both

INPUT = "llm.input_messages"
OUTPUT = "llm.output_messages"


def projected(
    values: dict[str, Any],
    *,
    name: str = "s",
    scope: str = "",
    events: tuple[tuple[str, dict[str, Any]], ...] = (),
    **fields: Any,
) -> dict[str, Any]:
    """The whole line's object of one span with these attributes, from both encodings."""
    span = base_span(
        name=name,
        attributes=attributes(values),
        events=[Span.Event(name=event, attributes=attributes(body)) for event, body in events],
        **fields,
    )
    request = request_of(span)
    request.resource_spans[0].scope_spans[0].scope.name = scope
    (line,) = from_both(request).spans
    return line


def meaning(values: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The keys of every line that say something, by their last part, ``kind`` first."""
    stored = projected(values, **fields)["attributes"]
    short = {
        key.removeprefix("inference.").removeprefix("llm."): value
        for key, value in stored.items()
        if key.startswith("inference.") and value not in (None, "")
    }
    for key in ("export.schema_version", "project_id"):
        del short[key]
    return {"kind": short.pop("observation_kind"), **short}


def added(values: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What was added besides the keys of every line and the mirrored kind."""
    stored = projected(values, **fields)["attributes"]
    return {
        key: value
        for key, value in stored.items()
        if key not in values
        and not key.startswith("inference.")
        and key != "openinference.span.kind"
    }


def status(code: int, message: str = "") -> dict[str, Any]:
    """The status of a span, as a field."""
    return {"status": Status(code=code, message=message)}
