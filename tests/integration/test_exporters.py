"""The real OpenTelemetry exporters against the real daemon."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcExporter,
)
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as LogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpExporter,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from halo_daemon.proto.times import format_unix_ns
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.testing.daemon import DaemonProcess
from tests.conformance.receiver import JSON, Receiver

SHARED = Path(os.environ.get("HALO_SHARED", Path(__file__).parents[2].parent / "shared"))


@pytest.fixture(scope="module")
def receiver(tmp_path_factory) -> Iterator[Receiver]:
    """A running daemon."""
    directory = tmp_path_factory.mktemp("exporters")
    environ = {"HALO_DAEMON__STORAGE__MIN_FREE": "1MiB"}
    with DaemonProcess(directory / "data", environ=environ) as daemon:
        seen = Receiver(http_address=daemon.http, grpc_address=daemon.grpc, data=daemon.data)
        yield seen
        seen.close()


def over_grpc(receiver: Receiver, *, gzip: bool, project: str) -> SpanExporter:
    """The gRPC exporter."""
    return GrpcExporter(
        f"http://{receiver.grpc_address}",
        insecure=True,
        compression=grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression,
        headers=(("x-project-name", project),),
    )


def over_http(receiver: Receiver, *, gzip: bool, project: str) -> SpanExporter:
    """The HTTP exporter, protobuf."""
    return HttpExporter(
        f"http://{receiver.http_address}/v1/traces",
        compression=HttpCompression.Gzip if gzip else HttpCompression.NoCompression,
        headers={"x-project-name": project},
    )


def _record(exporter: SpanExporter) -> list[ReadableSpan]:
    """Run a small agent; its spans, as the SDK knows them."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "agent", "n": 1}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=64))
    tracer = provider.get_tracer("tests", "1.0", attributes={"scope.kind": "test"})
    for turn in range(100):
        with tracer.start_as_current_span("agent", attributes={"turn": turn}) as root:
            link = Link(root.get_span_context(), {"why": "because"})
            with tracer.start_as_current_span("chat", kind=SpanKind.CLIENT, links=[link]) as span:
                span.set_attributes({"café": "olé\n\u2028", "ok": True, "x": 0.5, "l": [1, 2]})
                span.add_event("note", {"k": "v"})
                span.set_status(Status(StatusCode.ERROR, "it failed"))
    assert provider.force_flush(20_000)
    provider.shutdown()
    return list(memory.get_finished_spans())


def _expected(span: ReadableSpan) -> dict[str, object]:
    context = span.get_span_context()
    assert context is not None
    return {
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "parent_span_id": f"{span.parent.span_id:016x}" if span.parent else "",
        "name": span.name,
        "kind": f"SPAN_KIND_{span.kind.name}",
        "start_time": format_unix_ns(span.start_time or 0),
        "end_time": format_unix_ns(span.end_time or 0),
        "status": {
            "code": f"STATUS_CODE_{span.status.status_code.name}",
            "message": span.status.description or "",
        },
        "resource": {"attributes": dict(span.resource.attributes)},
        "scope": {"name": "tests", "version": "1.0"},
        "scope_attributes": {"scope.kind": "test"},
        "attributes": _plain(span.attributes),
        "events": [
            {
                "time": format_unix_ns(event.timestamp),
                "name": event.name,
                "attributes": _plain(event.attributes),
            }
            for event in span.events
        ],
        "links": [
            (
                f"{link.context.trace_id:032x}",
                f"{link.context.span_id:016x}",
                _plain(link.attributes),
            )
            for link in span.links
        ],
    }


def _plain(attributes):
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in (attributes or {}).items()
    }


def _seen(stored, expected):
    links = stored.get("links", [])
    return {
        **{key: stored[key] for key in expected if key not in {"attributes", "events", "links"}},
        "attributes": {key: stored["attributes"].get(key) for key in expected["attributes"]},
        "events": stored.get("events", []),
        "links": [(link["trace_id"], link["span_id"], link["attributes"]) for link in links],
    }


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("exporter", [over_grpc, over_http], ids=lambda make: make.__name__)
def test_every_span_arrives_once_and_unchanged(receiver, exporter, gzip):
    """What the SDK exported stands in a shard exactly once, equal field by field."""
    project = f"{exporter.__name__}-{gzip}"

    recorded = _record(exporter(receiver, gzip=gzip, project=project))

    stored = {span["span_id"]: span for span in receiver.spans(project)}
    assert len(receiver.lines(project)) == len(recorded) == 200
    for span in recorded:
        expected = _expected(span)
        assert _seen(stored[expected["span_id"]], expected) == expected


def _examples() -> Path:
    directory = SHARED / "data" / "otlp_examples"
    if not directory.is_dir():
        pytest.skip("evaluation data not present")
    return directory


def test_the_published_trace_example_is_stored(receiver):
    """The protocol's own JSON example is taken as it is."""
    body = (_examples() / "trace.json").read_bytes()
    [resource] = json.loads(body)["resourceSpans"]
    sent = [span for scope in resource["scopeSpans"] for span in scope["spans"]]

    answer = receiver.post(body, JSON, project="example")

    stored = receiver.spans("example")
    assert answer.is_empty_success
    assert [span["span_id"] for span in stored] == [span["spanId"].lower() for span in sent]
    assert [span["name"] for span in stored] == [span["name"] for span in sent]


def test_what_the_sdk_logs_of_a_span_is_read_on_the_span(receiver):
    """Logs leave by an exporter of their own, here before the span that they are of."""
    tracing = TracerProvider(resource=Resource.create({"service.name": "logged"}))
    spans = HttpExporter(f"http://{receiver.http_address}/v1/traces")
    tracing.add_span_processor(BatchSpanProcessor(spans))
    logging = LoggerProvider(resource=Resource.create({"service.name": "logged"}))
    records = LogExporter(f"http://{receiver.http_address}/v1/logs")
    logging.add_log_record_processor(SimpleLogRecordProcessor(records))
    logger = logging.get_logger("tests")

    named = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    with tracing.get_tracer("tests").start_as_current_span("chat m", attributes=named) as span:
        asked = {"content": "Why?"}
        logger.emit(LogRecord(event_name="gen_ai.user.message", body=asked))
        failure = {"exception.type": "Limit", "exception.message": "slower"}
        logger.emit(LogRecord(event_name="exception", attributes=failure))
        span.set_status(Status(StatusCode.ERROR))
        trace_id = f"{span.get_span_context().trace_id:032x}"
    tracing.shutdown()
    logging.shutdown()

    reader = LocalTraceReader(receiver.data, "logged", settle_s=0, now_unix_ns=time.time_ns)
    trace = reader.load_trace(trace_id)
    assert trace is not None
    (call,) = (span for span in trace.spans if span.observation_kind == "LLM")
    assert len(trace.spans) == 3
    assert call.text("llm.input_messages.0.message.content") == "Why?"
    assert call.status_message == "Limit: slower"


@pytest.mark.parametrize(
    ("name", "path"),
    [("logs", "/v1/logs"), ("events", "/v1/logs"), ("metrics", "/v1/metrics")],
)
def test_the_published_examples_of_other_signals_are_answered(receiver, name, path):
    """The protocol's other examples get a success that says what is stored."""
    body = (_examples() / f"{name}.json").read_bytes()

    answer = receiver.post(body, JSON, path=path)

    assert answer.status == 200
