"""The requests behind the golden lines, one for each vocabulary; all made up."""

import json
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.unit.proto.decoding import attribute, attributes

START_UNIX_NS = 1_787_300_000_000_000_000
TRACE_ID = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
WEATHER = {"city": "Zürich"}
WEATHER_JSON = json.dumps(WEATHER, ensure_ascii=False, separators=(",", ":"))
Dialect = tuple[str, list[tuple[str, dict[str, Any]]]]
"""An instrumentation's scope, and the spans that it sends: their names and attributes."""


def span(number: int, name: str, values: dict[str, Any], **fields: Any) -> Span:
    """Span *number* of the one trace, child of span 1, a second long."""
    return Span(
        **{
            "trace_id": TRACE_ID,
            "span_id": number.to_bytes(8),
            "parent_span_id": (1).to_bytes(8) if number > 1 else b"",
            "name": name,
            "kind": Span.SPAN_KIND_INTERNAL,
            "start_time_unix_nano": START_UNIX_NS + number,
            "end_time_unix_nano": START_UNIX_NS + number + 10**9,
            "attributes": attributes(values),
            **fields,
        }
    )


def request(scope: str, *spans: Span, version: str = "1.0") -> ExportTraceServiceRequest:
    """One request of one instrumentation scope."""
    made = ExportTraceServiceRequest()
    resource_spans = made.resource_spans.add()
    resource_spans.resource.attributes.append(attribute("service.name", "weather-bot"))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = scope
    scope_spans.scope.version = version
    scope_spans.spans.extend(spans)
    return made


def as_json(value: object) -> str:
    """*value* as JSON text, as SDKs put it into attributes."""
    return json.dumps(value, ensure_ascii=False)


def model_call() -> ExportTraceServiceRequest:
    """OpenTelemetry GenAI as it is today, with flags and a schema URL."""
    made = request(
        "opentelemetry.instrumentation.openai_v2",
        span(
            2,
            "chat small",
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "small",
                "gen_ai.response.model": "small-2026-01-01",
                "gen_ai.usage.input_tokens": 142,
                "gen_ai.usage.output_tokens": 9,
                "gen_ai.usage.cache_read.input_tokens": 100,
                "gen_ai.conversation.id": "conversation-7",
                "gen_ai.agent.name": "forecaster",
                "gen_ai.response.finish_reasons": ["tool_calls"],
                "gen_ai.input.messages": as_json(
                    [
                        {
                            "role": "user",
                            "parts": [{"type": "text", "content": "Regnet es in Zürich?"}],
                        }
                    ]
                ),
                "gen_ai.output.messages": as_json(
                    [
                        {
                            "role": "assistant",
                            "parts": [
                                {
                                    "type": "tool_call",
                                    "id": "call_9",
                                    "name": "get_weather",
                                    "arguments": WEATHER,
                                }
                            ],
                            "finish_reason": "tool_calls",
                        }
                    ]
                ),
            },
            kind=Span.SPAN_KIND_CLIENT,
            flags=257,
        ),
        version="2.1b0",
    )
    made.resource_spans[0].scope_spans[0].schema_url = "https://opentelemetry.io/schemas/1.37.0"
    return made


def failed_tool() -> ExportTraceServiceRequest:
    """A tool that ended with an exception, with a link, scope attributes and drops."""
    made = request(
        "weather.tools",
        span(
            3,
            "execute_tool get_weather",
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "get_weather",
                "gen_ai.tool.call.id": "call_9",
                "gen_ai.tool.call.arguments": WEATHER_JSON,
                "gen_ai.agent.name": "forecaster",
                "gen_ai.conversation.id": "conversation-7",
            },
            status=Status(code=Status.STATUS_CODE_ERROR),
            flags=257,
            events=[
                Span.Event(
                    time_unix_nano=START_UNIX_NS + 5 * 10**8,
                    name="exception",
                    attributes=attributes(
                        {
                            "exception.type": "TimeoutError",
                            "exception.message": "no answer after 1 s",
                            "exception.stacktrace": "Traceback\n  line 1",
                            "exception.escaped": True,
                        }
                    ),
                )
            ],
            links=[
                Span.Link(
                    trace_id=b"\2" * 16,
                    span_id=b"\3" * 8,
                    attributes=attributes({"link.reason": "queued_by"}),
                )
            ],
            dropped_events_count=2,
        ),
        version="",
    )
    scope = made.resource_spans[0].scope_spans[0].scope
    scope.attributes.append(attribute("tool.pack", "weather"))
    return made
