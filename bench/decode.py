"""
Decoding and projecting against a bare loop, in one process and one run.

    python -m bench.decode

The bare loop parses the request, turns each attribute list into a dictionary and dumps
each span with its resource: what any store of JSON lines has to do. Both run on the same
requests of 500 spans, in turns, so that the ratio holds on any machine.
"""

import gc
import time
from collections.abc import Callable

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from halo_daemon.proto import line
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.json_value import Attributes
from halo_daemon.proto.line import KIND_NAMES, STATUS_NAMES
from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.project import Project
from halo_daemon.proto.times import format_unix_ns

SPANS = 500
ROUNDS = 40
START_UNIX_NS = 1_790_000_000_000_000_000
PROJECT = Project("bench", "bench")
LIMITS = DecodeLimits()

QUESTION = "Where is my order {}? It was due last week, and the parcel service knows nothing of it."
ANSWER = "Parcel {} left our house on Tuesday and should be with you tomorrow before noon."


def _plain_service(number: int) -> dict[str, object]:
    return {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "url.full": f"https://shop.example/orders/{number}",
        "server.address": "shop.example",
        **{f"app.setting.{setting}": "a value of some length" for setting in range(6)},
        "app.ratio": number / 7,
    }


def _openinference_llm(number: int) -> dict[str, object]:
    return {
        "openinference.span.kind": "LLM",
        "llm.model_name": "small",
        "llm.provider": "openai",
        "llm.token_count.prompt": 1000 + number,
        "llm.token_count.completion": number % 90,
        "llm.token_count.total": 1000 + number + number % 90,
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": QUESTION.format(number),
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": ANSWER.format(number),
        "session.id": f"session-{number // 8}",
        "input.value": QUESTION.format(number),
    }


def _openinference_tool(number: int) -> dict[str, object]:
    return {
        "openinference.span.kind": "TOOL",
        "tool.name": "lookup_order",
        "tool.parameters": f'{{"order":{number}}}',
        "input.value": f'{{"order":{number}}}',
        "output.value": ANSWER.format(number) * 3,
        "session.id": f"session-{number // 8}",
    }


def _genai(number: int) -> dict[str, object]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "small",
        "gen_ai.response.model": "small-2026-01-01",
        "gen_ai.usage.input_tokens": 1000 + number,
        "gen_ai.usage.output_tokens": number % 90,
        "gen_ai.response.finish_reasons": "stop",
        "gen_ai.input.messages": _messages("user", QUESTION.format(number)),
        "gen_ai.output.messages": _messages("assistant", ANSWER.format(number)),
    }


def _messages(role: str, text: str) -> str:
    parts = [{"type": "text", "content": text}]
    return orjson.dumps([{"role": role, "parts": parts}]).decode()


SHAPES: dict[str, Callable[[int], dict[str, object]]] = {
    "plain service": _plain_service,
    "OpenInference LLM": _openinference_llm,
    "OpenInference tool": _openinference_tool,
    "GenAI, messages as JSON": _genai,
}
"""Attributes of the n-th span: what names things repeats, what was said and counted does not."""


def request_bytes(shape: Callable[[int], dict[str, object]], spans: int = SPANS) -> bytes:
    """A request of *spans* spans with those attributes."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    for key, value in (("service.name", "bench"), ("telemetry.sdk.language", "python")):
        resource_spans.resource.attributes.append(_pair(key, value))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "bench"
    for number in range(1, spans + 1):
        scope_spans.spans.append(
            Span(
                trace_id=number.to_bytes(16),
                span_id=number.to_bytes(8),
                parent_span_id=(number + 1).to_bytes(8),
                name="work",
                kind=Span.SPAN_KIND_CLIENT,
                start_time_unix_nano=START_UNIX_NS + number * 10**6,
                end_time_unix_nano=START_UNIX_NS + number * 10**6 + 123_456_789,
                attributes=[_pair(key, value) for key, value in shape(number).items()],
            )
        )
    return request.SerializeToString()


def bare(body: bytes) -> list[bytes]:
    """Parse, attributes to dictionaries, dump: no checks, no repairs, no meaning."""
    lines = []
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = {"attributes": _plain(resource_spans.resource.attributes)}
        for scope_spans in resource_spans.scope_spans:
            scope = {"name": scope_spans.scope.name, "version": scope_spans.scope.version}
            lines += [
                orjson.dumps(
                    {
                        "trace_id": span.trace_id.hex(),
                        "span_id": span.span_id.hex(),
                        "parent_span_id": span.parent_span_id.hex(),
                        "trace_state": span.trace_state,
                        "name": span.name,
                        "kind": KIND_NAMES[span.kind],
                        "start_time": format_unix_ns(span.start_time_unix_nano),
                        "end_time": format_unix_ns(span.end_time_unix_nano),
                        "status": {
                            "code": STATUS_NAMES[span.status.code],
                            "message": span.status.message,
                        },
                        "resource": resource,
                        "scope": scope,
                        "attributes": _plain(span.attributes),
                    }
                )
                for span in scope_spans.spans
            ]
    return lines


def ours(body: bytes) -> int:
    """The decoder, whole."""
    return decode_protobuf(body, project_of=_project_of, limits=LIMITS).received_spans


def main() -> None:
    """Print spans per second of both, and their ratio, for each shape."""
    print(f"decoder: {'interpreted' if line.__file__.endswith('.py') else 'compiled'}")
    print(f"{'shape':26}{'bytes/span':>11}{'bare/s':>10}{'ours/s':>10}{'ratio':>7}")
    gc.freeze()
    for name, shape in SHAPES.items():
        body = request_bytes(shape)
        turns = [(_timed(bare, body), _timed(ours, body)) for _ in range(ROUNDS)]
        bare_rate, our_rate = (SPANS / min(seconds) for seconds in zip(*turns, strict=True))
        print(
            f"{name:26}{len(body) // SPANS:>11}{bare_rate:>10,.0f}{our_rate:>10,.0f}"
            f"{our_rate / bare_rate:>7.2f}"
        )


def _timed(work: Callable[[bytes], object], body: bytes) -> float:
    started = time.perf_counter()
    work(body)
    return time.perf_counter() - started


def _project_of(_: Attributes) -> Project:
    return PROJECT


def _plain(pairs: list[KeyValue]) -> dict[str, object]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> object:
    which = value.WhichOneof("value")
    return getattr(value, which) if which else None


def _pair(key: str, value: object) -> KeyValue:
    names = {str: "string_value", int: "int_value", float: "double_value"}
    return KeyValue(key=key, value=AnyValue(**{names[type(value)]: value}))


if __name__ == "__main__":
    main()
